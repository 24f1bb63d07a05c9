#include "common/text/prompt_pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

// "[template]" for the template's words, "{text}" for a message's, "#" for the place of the chunks.
std::string Describe(const std::string& jinja, const std::vector<PromptMessage>& messages,
                     bool continue_last = false) {
  const auto pieces = RenderPieces(*InlineTemplate(jinja), messages, absl::UnixEpoch(), continue_last);
  if (!pieces.ok()) return pieces.status().ToString();
  std::string description;
  for (const PromptPiece& piece : *pieces) {
    if (piece.author == PromptPiece::Author::kChunks) description += "#";
    if (piece.author == PromptPiece::Author::kTemplate) description += "[" + piece.text + "]";
    if (piece.author == PromptPiece::Author::kMessage) description += "{" + piece.text + "}";
  }
  return description;
}

const char kEcho[] =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}{% if add_generation_prompt %}>>{% "
    "endif %}";
const PromptMessage kUser{"user", " why? ", " docs: "};

TEST(PromptPieces, TellWhoWroteWhat) {
  EXPECT_EQ(Describe(kEcho, {{"system", "be brief", std::nullopt}, kUser}),
            "[<system>]{be brief}[;<user>]{ docs: }#{ why? }[;>>]");
}

TEST(PromptPieces, AContinuedTurnStaysOpen) {
  EXPECT_EQ(Describe(kEcho, {kUser, {"assistant", "Because ", std::nullopt}}, /*continue_last=*/true),
            "[<user>]{ docs: }#{ why? }[;<assistant>]{Because }");
}

TEST(PromptPieces, StripWhereTheTemplateStrips) {
  EXPECT_EQ(Describe("{% for m in messages %} {{ m.content | trim }} {% endfor %}", {kUser}),
            "[ ]{docs: }#{ why?}[ ]");
  EXPECT_EQ(Describe("{% for m in messages %} {{ m.content.rstrip() }} {% endfor %}", {kUser}),
            "[ ]{ docs: }#{ why?}[ ]");
  EXPECT_EQ(Describe("{{ messages[0].content.lstrip() }}{{ messages[1].content }}",
                     {{"user", "\u00a0 a ", std::nullopt}, {"assistant", " b ", std::nullopt}}),
            "[]{a }[]{ b }[]");
}

TEST(PromptPieces, RefuseATemplateThatDropsAText) {
  EXPECT_THAT(Describe("{{ messages[-1].content }}", {{"system", "s", std::nullopt}, kUser}),
              testing::AllOf(testing::HasSubstr("inline alters or drops the text of message 0 (system)"),
                             testing::HasSubstr("FAILED_PRECONDITION")));
}

TEST(PromptPieces, RefuseATemplateThatRepeatsAltersOrMovesAText) {
  EXPECT_THAT(Describe("{{ messages[0].content }}{{ messages[0].content }}", {kUser}),
              testing::HasSubstr("repeats"));
  EXPECT_THAT(Describe("{{ messages[0].content | upper }}", {kUser}), testing::HasSubstr("alters or drops"));
  EXPECT_THAT(
      Describe("{{ messages[1].content }}{{ messages[0].content }}", {{"system", "s", std::nullopt}, kUser}),
      testing::HasSubstr("moves the text of message 1"));
}

TEST(PromptPieces, RefuseWhatDependsOnTheText) {
  EXPECT_THAT(Describe("{{ messages[0].content.strip('\\n') }}", {kUser}), testing::HasSubstr("white space"));
  EXPECT_THAT(Describe("{{ messages[0].content.replace('why', 'how') }}", {kUser}),
              testing::HasSubstr("rewrites"));
  EXPECT_THAT(
      Describe("{% if 'docs' in messages[0].content %}!{% endif %}{{ messages[0].content }}", {kUser}),
      testing::HasSubstr("rewrites"));
}

TEST(PromptPieces, ATextMayContainTemplateSyntaxAndAnything) {
  const std::string text = "{{ bos_token }}{% raw %} Mark chunks m0x \\1 $& <|im_end|>";
  EXPECT_EQ(Describe(kEcho, {{"user", text, ""}}), "[<user>]{}#{" + text + "}[;>>]");
}

}  // namespace
}  // namespace cacheclip
