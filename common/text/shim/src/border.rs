//! The C border: error codes, the thread's last message, borrowed and owned strings.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::os::raw::{c_char, c_int};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Error codes of `textshim.h`.
pub const OK: c_int = 0;
pub const INVALID_ARGUMENT: c_int = 1;
pub const PARSE: c_int = 2;
pub const ENCODE: c_int = 3;
pub const DECODE: c_int = 4;
pub const RENDER: c_int = 5;
pub const PANIC: c_int = 99;

/// An error on its way over the border: code and message.
pub struct Failure(pub c_int, pub String);
pub type Outcome<T> = Result<T, Failure>;

/// `.map_err(failed(ENCODE))`: any displayable error under the given code.
pub fn failed<E: std::fmt::Display>(code: c_int) -> impl Fn(E) -> Failure {
    // `{:#}`: minijinja and boxed errors print their causes too.
    move |error| Failure(code, format!("{error:#}"))
}

thread_local!(static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) });

/// Runs `body`; turns its error or panic into a code and remembers the message for `ts_last_error`.
pub fn guard(body: impl FnOnce() -> Outcome<()>) -> c_int {
    let (code, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return OK,
        Ok(Err(Failure(code, message))) => (code, message),
        Err(payload) => (PANIC, panic_message(payload.as_ref())),
    };
    LAST_ERROR.with(|last| *last.borrow_mut() = message);
    code
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("internal error in the text library: {}", text.unwrap_or("unknown"))
}

/// `ts_str`: borrowed.
#[repr(C)]
pub struct Str {
    ptr: *const c_char,
    len: usize,
}

/// `ts_buf`: owned by the caller until `ts_buf_free`.
#[repr(C)]
pub struct Buf {
    ptr: *mut c_char,
    len: usize,
    cap: usize,
}

/// The caller's bytes, borrowed for the call.
pub unsafe fn bytes<'a>(ptr: *const c_char, len: usize) -> &'a [u8] {
    if len == 0 || ptr.is_null() {
        return &[];
    }
    std::slice::from_raw_parts(ptr as *const u8, len)
}

/// The caller's string, borrowed for the call.
pub unsafe fn text<'a>(ptr: *const c_char, len: usize) -> Outcome<&'a str> {
    std::str::from_utf8(bytes(ptr, len)).map_err(|error| {
        Failure(INVALID_ARGUMENT, format!("not valid UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// Hands a string to the caller.
pub unsafe fn put(string: String, out: *mut Buf) {
    let mut bytes = ManuallyDrop::new(string.into_bytes());
    *out = Buf { ptr: bytes.as_mut_ptr() as *mut c_char, len: bytes.len(), cap: bytes.capacity() };
}

/// Hands an object to the caller as a handle.
pub unsafe fn put_handle<T>(object: T, out: *mut *mut T) {
    *out = Box::into_raw(Box::new(object));
}

/// Takes a handle back and drops it; null is allowed.
pub unsafe fn drop_handle<T>(handle: *mut T) {
    if !handle.is_null() {
        drop(Box::from_raw(handle));
    }
}

#[no_mangle]
pub extern "C" fn ts_last_error() -> Str {
    LAST_ERROR.with(|last| {
        let message = last.borrow();
        Str { ptr: message.as_ptr() as *const c_char, len: message.len() }
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_buf_free(buffer: Buf) {
    if buffer.cap != 0 && !buffer.ptr.is_null() {
        drop(Vec::from_raw_parts(buffer.ptr as *mut u8, buffer.len, buffer.cap));
    }
}

#[no_mangle]
pub unsafe extern "C" fn ts_utf8_valid_up_to(ptr: *const c_char, len: usize) -> usize {
    std::str::from_utf8(bytes(ptr, len)).map_or_else(|error| error.valid_up_to(), str::len)
}
