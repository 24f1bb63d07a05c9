/* The C interface of the Rust text library: Hugging Face tokenizers and a Jinja interpreter. Strings are
 * UTF-8 and counted, never zero-terminated. Handles are immutable after creation and may be used by many
 * threads at once, except ts_stream (one thread at a time). Every call that can fail returns TS_OK or an
 * error code; the calling thread's message is then in ts_last_error(). A panic inside the library becomes
 * TS_PANIC. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_tokenizer ts_tokenizer;
typedef struct ts_encoding ts_encoding;
typedef struct ts_stream ts_stream;
typedef struct ts_template ts_template;
typedef struct {
  const char* ptr;
  size_t len;
} ts_str; /* borrowed */
typedef struct {
  char* ptr;
  size_t len;
  size_t cap;
} ts_buf; /* owned by the caller: free with ts_buf_free */

enum {
  TS_OK = 0,
  TS_INVALID_ARGUMENT = 1,
  TS_PARSE = 2,
  TS_ENCODE = 3,
  TS_DECODE = 4,
  TS_RENDER = 5,
  TS_PANIC = 99
};

/* How ts_encode treats the text; flags, combined with |. */
enum {
  TS_CONTROL_AS_TEXT = 1, /* control tokens written in the text stay ordinary characters */
  TS_CONTINUATION = 2,    /* the text continues a prompt: no space is put before its first word */
};

ts_str ts_last_error(void); /* valid until the thread's next ts_ call */
void ts_buf_free(ts_buf buffer);
size_t ts_utf8_valid_up_to(const char* text, size_t len); /* == len: all of it is UTF-8 */

int ts_tokenizer_from_json(const char* json, size_t len, ts_tokenizer** out);
void ts_tokenizer_free(ts_tokenizer* tokenizer);
uint32_t ts_tokenizer_vocab_size(const ts_tokenizer* tokenizer); /* with added tokens */
/* -1: unknown */
int64_t ts_tokenizer_token_to_id(const ts_tokenizer* tokenizer, const char* token, size_t len);
int ts_tokenizer_id_to_token(const ts_tokenizer* tokenizer, uint32_t id, ts_buf* out);
/* JSON: [{"id":1,"content":"<|im_start|>","control":true,"lstrip":false,"rstrip":false}, …],
 * ascending id */
int ts_tokenizer_added_tokens(const ts_tokenizer* tokenizer, ts_buf* out);

int ts_encode(const ts_tokenizer* tokenizer, const char* text, size_t len, int flags, ts_encoding** out);
size_t ts_encoding_len(const ts_encoding* encoding);
const uint32_t* ts_encoding_ids(const ts_encoding* encoding);   /* len entries */
const uint32_t* ts_encoding_spans(const ts_encoding* encoding); /* 2 * len entries: begin, end in bytes */
void ts_encoding_free(ts_encoding* encoding);

int ts_decode(const ts_tokenizer* tokenizer, const uint32_t* ids, size_t count, int skip_special,
              ts_buf* out);

/* The stream keeps the tokenizer alive. push: the text may be empty while bytes of a character are missing.
 * flush: what is held back; the stream then starts afresh. */
int ts_stream_new(const ts_tokenizer* tokenizer, int skip_special, ts_stream** out);
int ts_stream_push(ts_stream* stream, uint32_t id, ts_buf* out);
int ts_stream_flush(ts_stream* stream, ts_buf* out);
void ts_stream_free(ts_stream* stream);

int ts_template_new(const char* jinja, size_t len, ts_template** out);
/* context: a JSON object of template variables. now: Unix seconds that strftime_now shows (UTC). max_steps:
 * interpreter instructions after which the render fails. */
int ts_template_render(const ts_template* chat_template, const char* context, size_t len, int64_t now,
                       uint64_t max_steps, ts_buf* out);
void ts_template_free(ts_template* chat_template);

#ifdef __cplusplus
}
#endif
