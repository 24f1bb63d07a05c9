//! `ts_stream`: text from ids, one at a time. What a token adds can depend on its neighbours (spaces, split
//! characters), so the stream decodes a short window: `ids[..settled]` gave the text `prefix` already handed
//! out; the rest waits.

use crate::border::{drop_handle, failed, guard, put, put_handle, Buf, Outcome, DECODE};
use crate::tokenizer::TsTokenizer;
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::Tokenizer;

/// A character has at most four bytes, so a text that still ends in a broken one after so many tokens stays
/// broken.
const MAX_WAITING: usize = 16;

pub struct TsStream {
    tokenizer: Arc<Tokenizer>,
    skip_special: bool,
    ids: Vec<u32>,
    settled: usize,
    prefix: String,
}

fn common_prefix_len(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum()
}

impl TsStream {
    fn decode(&self) -> Outcome<String> {
        self.tokenizer.decode(&self.ids, self.skip_special).map_err(failed(DECODE))
    }

    fn push(&mut self, id: u32) -> Outcome<String> {
        self.ids.push(id);
        let text = self.decode()?;
        let overdue = self.ids.len() - self.settled > MAX_WAITING;
        if text.len() <= self.prefix.len() {
            if overdue {
                self.ids.truncate(self.settled); // tokens without text (special ones): forget them
            }
            return Ok(String::new());
        }
        if text.ends_with('\u{FFFD}') && !overdue {
            return Ok(String::new());
        }
        let fresh = text[common_prefix_len(&self.prefix, &text)..].to_string();
        self.ids.drain(..self.settled);
        self.settled = self.ids.len();
        self.prefix = self.decode()?;
        Ok(fresh)
    }

    fn flush(&mut self) -> Outcome<String> {
        let text = self.decode()?;
        let fresh = text[common_prefix_len(&self.prefix, &text)..].to_string();
        self.ids.clear();
        self.settled = 0;
        self.prefix.clear();
        Ok(fresh)
    }
}

#[no_mangle]
pub unsafe extern "C" fn ts_stream_new(
    tokenizer: *const TsTokenizer,
    skip_special: c_int,
    out: *mut *mut TsStream,
) -> c_int {
    guard(|| {
        let tokenizer = (*tokenizer).any().clone();
        let skip_special = skip_special != 0;
        put_handle(TsStream { tokenizer, skip_special, ids: vec![], settled: 0, prefix: String::new() }, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_stream_push(stream: *mut TsStream, id: u32, out: *mut Buf) -> c_int {
    guard(|| {
        put((*stream).push(id)?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_stream_flush(stream: *mut TsStream, out: *mut Buf) -> c_int {
    guard(|| {
        put((*stream).flush()?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_stream_free(stream: *mut TsStream) {
    drop_handle(stream)
}
