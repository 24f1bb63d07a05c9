#include "common/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/common/text/text_test_data.h"

namespace cacheclip {
namespace {

TEST(ChatTemplate, RendersAsTransformersDoes) {
  const absl::Time now = absl::FromUnixSeconds(Golden()["frozen_time"].get<int64_t>());
  for (const nlohmann::json& expected : Golden()["rendered"]) {
    std::vector<ChatMessage> messages;
    for (const nlohmann::json& message : expected["messages"])
      messages.push_back({message["role"], message["content"]});
    const auto rendered =
        TestTemplate(expected["template"])
            ->Render(messages, {.add_generation_prompt = expected["add_generation_prompt"], .now = now});
    SCOPED_TRACE(expected["template"].get<std::string>() + " " + expected["conversation"].get<std::string>());
    if (expected["expected"].is_string()) {
      ASSERT_TRUE(rendered.ok()) << rendered.status();
      EXPECT_EQ(*rendered, expected["expected"].get<std::string>());
    } else {
      EXPECT_TRUE(absl::IsFailedPrecondition(rendered.status()));
      EXPECT_THAT(rendered.status().ToString(),
                  testing::HasSubstr(expected["expected"]["error"].get<std::string>()));
    }
  }
}

std::string RenderInline(const std::string& jinja, const std::string& content = "text") {
  const std::vector<ChatMessage> messages{{"user", content}};
  const auto rendered = InlineTemplate(jinja)->Render(messages, {.now = absl::FromUnixSeconds(1769040000)});
  return rendered.ok() ? *rendered : rendered.status().ToString();
}

TEST(ChatTemplate, TojsonWritesWhatPythonsJsonDoes) {
  EXPECT_EQ(RenderInline("{{ messages | tojson }}", "<ä> \"&\" 🙂"),
            R"([{"role": "user", "content": "<ä> \"&\" 🙂"}])");
  EXPECT_EQ(RenderInline("{{ {'a': [1, 2.5, none, true], 'b': {}} | tojson(indent=2) }}"),
            "{\n  \"a\": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n  \"b\": {}\n}");
}

TEST(ChatTemplate, TheDateIsTheCallersAlsoInsideAMacro) {
  EXPECT_EQ(RenderInline("{% macro date() %}{{ strftime_now('%Y-%m-%d') }}{% endmacro %}{{ date() }}"),
            "2026-01-22");
  EXPECT_THAT(RenderInline("{{ strftime_now('%Q') }}"), testing::HasSubstr("cannot read the format '%Q'"));
}

TEST(ChatTemplate, PythonStringMethodsWork) {
  EXPECT_EQ(RenderInline("{{ messages[0].content.split(',')[-1].strip().upper() }}", "a, b "), "B");
  EXPECT_EQ(RenderInline("{% for k, v in {'x': 1}.items() %}{{ k }}={{ v }}{% endfor %}"), "x=1");
}

TEST(ChatTemplate, ATemplateWithoutEndIsStopped) {
  const std::string loop =
      "{% for i in range(99999) %}{% for j in range(99999) %}{{ j }}{% endfor %}{% endfor %}";
  EXPECT_THAT(RenderInline(loop), testing::HasSubstr("FAILED_PRECONDITION"));
}

TEST(ChatTemplate, InvalidUtf8NamesTheMessage) {
  EXPECT_THAT(RenderInline("{{ messages[0].content }}", "a\xff"), testing::HasSubstr("messages[0].content"));
}

TEST(ChatTemplate, ATemplateThatDoesNotParseIsRefusedByName) {
  const auto broken = ChatTemplate::FromString("broken.jinja", "{% if %}", {});
  EXPECT_TRUE(absl::IsFailedPrecondition(broken.status()));
  EXPECT_THAT(broken.status().ToString(), testing::HasSubstr("broken.jinja"));
}

class TemplateFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/template-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name) << content;
  }
  std::string Load() {
    const auto loaded = ChatTemplate::Load(folder_);
    return loaded.ok() ? *(*loaded)->Render({}, {}) : loaded.status().ToString();
  }

  std::string folder_;
};

TEST_F(TemplateFolder, TheFileWinsOverTheConfiguration) {
  EXPECT_THAT(Load(), testing::HasSubstr("NOT_FOUND"));
  Write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "chat_template": [
                                      {"name": "tool_use", "template": "tools"},
                                      {"name": "default", "template": "list {{ bos_token }}"}]})");
  EXPECT_EQ(Load(), "list <s>");
  Write("chat_template.jinja", "file {{ eos_token }}");
  Write("special_tokens_map.json", R"({"eos_token": "</s>", "bos_token": "ignored"})");
  EXPECT_EQ(Load(), "file </s>");
}

}  // namespace
}  // namespace cacheclip
