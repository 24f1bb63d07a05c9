// The committed text test data: tests/data/text (tiny tokenizer, templates, golden output of `transformers`).
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "nlohmann/json.hpp"

namespace cacheclip {

inline std::string TextDataPath(const std::string& name) {
  return std::string(CACHECLIP_SOURCE_DIR) + "/tests/data/text/" + name;
}

inline std::string ReadTextData(const std::string& name) {
  std::ifstream file(TextDataPath(name), std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

inline const nlohmann::json& Golden() {
  static const nlohmann::json golden = nlohmann::json::parse(ReadTextData("golden.json"));
  return golden;
}

inline std::shared_ptr<const Tokenizer> TinyTokenizer() {
  static const auto tokenizer = Tokenizer::Load(TextDataPath("tiny-chatml"));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

// "tiny-chatml" (from its tokenizer_config.json) or a file of tests/data/text/templates.
inline std::shared_ptr<const ChatTemplate> TestTemplate(const std::string& name) {
  const auto chat_template = name == "tiny-chatml"
                                 ? ChatTemplate::Load(TextDataPath(name))
                                 : ChatTemplate::FromString(name, ReadTextData("templates/" + name),
                                                            TinyTokenizer()->special_tokens());
  EXPECT_TRUE(chat_template.ok()) << chat_template.status();
  return *chat_template;
}

inline std::shared_ptr<const ChatTemplate> InlineTemplate(const std::string& jinja) {
  const auto chat_template = ChatTemplate::FromString("inline", jinja, TinyTokenizer()->special_tokens());
  EXPECT_TRUE(chat_template.ok()) << chat_template.status();
  return *chat_template;
}

}  // namespace cacheclip
