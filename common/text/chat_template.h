// A model's chat template (Jinja), rendered as `transformers` does, with the date frozen by the caller: a
// template that prints today's date would otherwise change the prompt, and with it every key, at midnight.
//
//   CACHECLIP_ASSIGN_OR_RETURN(auto chat_template, ChatTemplate::Load(model_dir));
//   chat_template->Render({{"user", "Hello"}}, {.add_generation_prompt = true, .now = registration_time});
//
// Concurrency: immutable, any number of threads. Ownership: shared_ptr. Templates run in an interpreter
// without access to files or the network, bounded by kMaxTemplateSteps.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/text/special_tokens.h"

namespace cacheclip {

// A render that needs more interpreter steps than this is stopped: a loop that never ends, not a
// conversation.
inline constexpr uint64_t kMaxTemplateSteps = 10'000'000;

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

struct RenderOptions {
  bool add_generation_prompt = true;  // open the assistant's turn at the end
  absl::Time now;                     // what strftime_now() shows, in UTC
};

class ChatTemplate {
 public:
  // chat_template.jinja, else "chat_template" of tokenizer_config.json (a string, or a list with the name
  // "default").
  // NOT_FOUND: the model has none. FAILED_PRECONDITION: one that does not parse.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> Load(const std::string& model_dir);
  // `name` is what errors call the template.
  static absl::StatusOr<std::shared_ptr<const ChatTemplate>> FromString(std::string name,
                                                                        std::string_view jinja,
                                                                        SpecialTokenMap special_tokens);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  // FAILED_PRECONDITION with the template's own words if it refuses the messages (raise_exception) or fails.
  absl::StatusOr<std::string> Render(std::span<const ChatMessage> messages,
                                     const RenderOptions& options) const;

  const std::string& name() const { return name_; }

 private:
  struct Handle;
  ChatTemplate() = default;

  std::unique_ptr<Handle> handle_;
  std::string name_;
  SpecialTokenMap special_tokens_;
};

}  // namespace cacheclip
