#include "common/text/chat_template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/text/model_files.h"
#include "common/text/shim/textshim.h"
#include "common/text/shim_status.h"
#include "common/text/tokenizer.h"
#include "nlohmann/json.hpp"

namespace cacheclip {
namespace {

struct Source {
  std::string name;
  std::string jinja;
};

// "chat_template": "…" or [{"name": "default", "template": "…"}, …].
std::string TemplateOf(const nlohmann::json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const nlohmann::json& entry : *found) {
    if (entry.is_object() && entry.value("name", "") == "default") return entry.value("template", "");
  }
  return "";
}

absl::StatusOr<Source> FindTemplate(const std::string& model_dir) {
  absl::StatusOr<std::string> file = ReadFile(model_dir + "/chat_template.jinja");
  if (file.ok()) return Source{absl::StrCat(model_dir, "/chat_template.jinja"), *std::move(file)};
  if (!absl::IsNotFound(file.status())) return file.status();
  CACHECLIP_ASSIGN_OR_RETURN(const nlohmann::json config,
                             ReadOptionalJson(model_dir + "/tokenizer_config.json"));
  std::string jinja = TemplateOf(config);
  if (jinja.empty())
    return absl::NotFoundError(
        absl::StrCat("no chat template in ", model_dir,
                     ": neither chat_template.jinja nor a default in tokenizer_config.json"));
  return Source{absl::StrCat("chat_template of ", model_dir, "/tokenizer_config.json"), std::move(jinja)};
}

}  // namespace

struct ChatTemplate::Handle {
  ts_template* shim = nullptr;
  ~Handle() { ts_template_free(shim); }
};

ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<std::shared_ptr<const ChatTemplate>> ChatTemplate::Load(const std::string& model_dir) {
  CACHECLIP_ASSIGN_OR_RETURN(Source source, FindTemplate(model_dir));
  CACHECLIP_ASSIGN_OR_RETURN(SpecialTokenMap special_tokens, LoadSpecialTokens(model_dir));
  return FromString(std::move(source.name), source.jinja, std::move(special_tokens));
}

absl::StatusOr<std::shared_ptr<const ChatTemplate>> ChatTemplate::FromString(std::string name,
                                                                             std::string_view jinja,
                                                                             SpecialTokenMap special_tokens) {
  auto chat_template = std::shared_ptr<ChatTemplate>(new ChatTemplate());
  chat_template->handle_ = std::make_unique<Handle>();
  const int code = ts_template_new(jinja.data(), jinja.size(), &chat_template->handle_->shim);
  if (code != TS_OK) return absl::FailedPreconditionError(ShimStatus(code, name).message());
  chat_template->name_ = std::move(name);
  chat_template->special_tokens_ = std::move(special_tokens);
  return std::shared_ptr<const ChatTemplate>(std::move(chat_template));
}

absl::StatusOr<std::string> ChatTemplate::Render(std::span<const ChatMessage> messages,
                                                 const RenderOptions& options) const {
  // What transformers passes: the special tokens by name, no tools, no documents.
  // Ordered: a template may print a whole message, whose role comes before its content.
  using OrderedJson = nlohmann::ordered_json;
  OrderedJson context = OrderedJson::object();
  for (const auto& [name, token] : special_tokens_) context[name] = token;
  OrderedJson turns = OrderedJson::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(absl::StrCat("messages[", i, "].role"), messages[i].role));
    CACHECLIP_RETURN_IF_ERROR(CheckUtf8(absl::StrCat("messages[", i, "].content"), messages[i].content));
    OrderedJson turn = OrderedJson::object();
    turn["role"] = messages[i].role;
    turn["content"] = messages[i].content;
    turns.push_back(std::move(turn));
  }
  context["messages"] = std::move(turns);
  context["add_generation_prompt"] = options.add_generation_prompt;
  context["tools"] = nullptr;
  context["documents"] = nullptr;
  const std::string json = context.dump();
  return ShimString(name_, [&](ts_buf* out) {
    return ts_template_render(handle_->shim, json.data(), json.size(), absl::ToUnixSeconds(options.now),
                              kMaxTemplateSteps, out);
  });
}

}  // namespace cacheclip
