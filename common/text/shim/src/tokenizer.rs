//! `ts_tokenizer` and `ts_encoding`.

use crate::border::{
    drop_handle, failed, guard, put, put_handle, text, Buf, Failure, Outcome, DECODE, ENCODE,
    INVALID_ARGUMENT, PARSE,
};
use serde_json::{json, Value};
use std::os::raw::{c_char, c_int};
use std::sync::Arc;
use tokenizers::{AddedToken, Tokenizer};

const CONTROL_AS_TEXT: c_int = 1;
const CONTINUATION: c_int = 2;

/// Whether control tokens are matched is a switch *on* a tokenizer, and so is the space before a first word.
/// Many threads share one handle, so there is one immutable tokenizer per combination that differs.
pub struct TsTokenizer {
    recognizing: Arc<Tokenizer>,
    plain: Arc<Tokenizer>,
    continuing_recognizing: Arc<Tokenizer>,
    continuing_plain: Arc<Tokenizer>,
}

pub struct TsEncoding {
    ids: Vec<u32>,
    spans: Vec<u32>,
}

/// Control tokens: marked special, or written like one. Vocabularies such as Qwen's mark `<tool_call>` or
/// `<think>` as not special, but a document must no more be able to write those than `<|im_end|>`.
fn is_control(token: &AddedToken) -> bool {
    let content = token.content.trim();
    let wrapped = |open, close| content.len() > 2 && content.starts_with(open) && content.ends_with(close);
    token.special || wrapped('<', '>') || wrapped('[', ']')
}

/// The same tokenizer, blind to control tokens.
fn without_control(tokenizer: &Tokenizer) -> Outcome<Tokenizer> {
    let mut plain = tokenizer.clone();
    let added = tokenizer.get_added_tokens_decoder();
    let control = added.into_values().filter(is_control).map(|token| token.special(true));
    plain.add_special_tokens(control).map_err(failed(PARSE))?;
    plain.set_encode_special_tokens(true);
    Ok(plain)
}

/// Turns "a space before the first word of the text" into "never" wherever `node` (a pre-tokenizer) says it.
/// True if anything changed.
fn forbid_first_space(node: &mut Value) -> bool {
    match node {
        Value::Object(fields) => {
            let mut changed = false;
            if fields.get("prepend_scheme").and_then(Value::as_str) == Some("first") {
                fields.insert("prepend_scheme".into(), json!("never"));
                changed = true;
            }
            fields.values_mut().fold(changed, |changed, field| forbid_first_space(field) | changed)
        }
        Value::Array(items) => {
            items.iter_mut().fold(false, |changed, item| forbid_first_space(item) | changed)
        }
        _ => false,
    }
}

fn parse(json: &str) -> Outcome<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(failed(PARSE))?;
    // Saved settings of somebody's training run; they would cut or lengthen texts silently.
    tokenizer.with_truncation(None).map_err(failed(PARSE))?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

fn load(json: &str) -> Outcome<TsTokenizer> {
    let mut value: Value = serde_json::from_str(json).map_err(failed(PARSE))?;
    let recognizing = parse(json)?;
    let plain = Arc::new(without_control(&recognizing)?);
    let recognizing = Arc::new(recognizing);
    let (mut continuing_recognizing, mut continuing_plain) = (recognizing.clone(), plain.clone());
    if value.get_mut("pre_tokenizer").is_some_and(forbid_first_space) {
        let continuing = parse(&value.to_string())?;
        continuing_plain = Arc::new(without_control(&continuing)?);
        continuing_recognizing = Arc::new(continuing);
    }
    Ok(TsTokenizer { recognizing, plain, continuing_recognizing, continuing_plain })
}

impl TsTokenizer {
    /// For decoding and look-ups, where all of them are equal.
    pub fn any(&self) -> &Arc<Tokenizer> {
        &self.recognizing
    }

    fn for_flags(&self, flags: c_int) -> &Tokenizer {
        match (flags & CONTROL_AS_TEXT != 0, flags & CONTINUATION != 0) {
            (false, false) => &self.recognizing,
            (true, false) => &self.plain,
            (false, true) => &self.continuing_recognizing,
            (true, true) => &self.continuing_plain,
        }
    }
}

/// Byte offsets, widened to whole characters: a token that is half an emoji stands for the emoji.
fn char_span(text: &str, (mut begin, mut end): (usize, usize)) -> [u32; 2] {
    end = end.min(text.len());
    begin = begin.min(end);
    let empty = begin == end;
    while !text.is_char_boundary(begin) {
        begin -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    [begin as u32, if empty { begin as u32 } else { end as u32 }]
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_from_json(
    ptr: *const c_char,
    len: usize,
    out: *mut *mut TsTokenizer,
) -> c_int {
    guard(|| {
        put_handle(load(text(ptr, len)?)?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_free(tokenizer: *mut TsTokenizer) {
    drop_handle(tokenizer)
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_vocab_size(tokenizer: *const TsTokenizer) -> u32 {
    (*tokenizer).any().get_vocab_size(true) as u32
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_token_to_id(
    tokenizer: *const TsTokenizer,
    ptr: *const c_char,
    len: usize,
) -> i64 {
    let id = text(ptr, len).ok().and_then(|token| (*tokenizer).any().token_to_id(token));
    id.map_or(-1, i64::from)
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_id_to_token(
    tokenizer: *const TsTokenizer,
    id: u32,
    out: *mut Buf,
) -> c_int {
    guard(|| {
        let token = (*tokenizer).any().id_to_token(id);
        put(token.ok_or_else(|| Failure(INVALID_ARGUMENT, format!("no token has the id {id}")))?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_tokenizer_added_tokens(tokenizer: *const TsTokenizer, out: *mut Buf) -> c_int {
    guard(|| {
        let mut tokens: Vec<_> = (*tokenizer).any().get_added_tokens_decoder().into_iter().collect();
        tokens.sort_by_key(|(id, _)| *id);
        let describe = |(id, token): &(u32, AddedToken)| {
            json!({"id": id, "content": token.content, "control": is_control(token),
                   "lstrip": token.lstrip, "rstrip": token.rstrip})
        };
        put(Value::Array(tokens.iter().map(describe).collect()).to_string(), out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_encode(
    tokenizer: *const TsTokenizer,
    ptr: *const c_char,
    len: usize,
    flags: c_int,
    out: *mut *mut TsEncoding,
) -> c_int {
    guard(|| {
        let input = text(ptr, len)?;
        let encoding = (*tokenizer).for_flags(flags).encode(input, false).map_err(failed(ENCODE))?;
        let spans = encoding.get_offsets().iter().flat_map(|&offsets| char_span(input, offsets)).collect();
        put_handle(TsEncoding { ids: encoding.get_ids().to_vec(), spans }, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_encoding_len(encoding: *const TsEncoding) -> usize {
    (*encoding).ids.len()
}

#[no_mangle]
pub unsafe extern "C" fn ts_encoding_ids(encoding: *const TsEncoding) -> *const u32 {
    (*encoding).ids.as_ptr()
}

#[no_mangle]
pub unsafe extern "C" fn ts_encoding_spans(encoding: *const TsEncoding) -> *const u32 {
    (*encoding).spans.as_ptr()
}

#[no_mangle]
pub unsafe extern "C" fn ts_encoding_free(encoding: *mut TsEncoding) {
    drop_handle(encoding)
}

#[no_mangle]
pub unsafe extern "C" fn ts_decode(
    tokenizer: *const TsTokenizer,
    ids: *const u32,
    count: usize,
    skip_special: c_int,
    out: *mut Buf,
) -> c_int {
    guard(|| {
        let ids = if count == 0 { &[][..] } else { std::slice::from_raw_parts(ids, count) };
        put((*tokenizer).any().decode(ids, skip_special != 0).map_err(failed(DECODE))?, out);
        Ok(())
    })
}
