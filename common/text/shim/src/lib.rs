//! Hugging Face `tokenizers` and `minijinja` behind the C interface of `textshim.h`; the comments there are
//! the contract. One file per handle; `border.rs` has what every function at the C border needs.
//!
//! Safety, for all `extern "C"` functions: handles come from this library and are not yet freed, and pointers
//! are valid for the length given beside them. That is checked by nobody; the only caller is
//! `common/text/*.cc`.

mod border;
mod stream;
mod strftime;
mod template;
mod tojson;
mod tokenizer;
