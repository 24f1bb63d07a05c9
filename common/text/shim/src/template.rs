//! `ts_template`: chat templates, with the environment that `transformers` gives them.

use crate::border::{
    drop_handle, failed, guard, put, put_handle, text, Buf, Outcome, INVALID_ARGUMENT, PARSE, RENDER,
};
use crate::{strftime, tojson};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use std::os::raw::{c_char, c_int};

const NAME: &str = "chat_template";

pub struct TsTemplate(Environment<'static>);

/// `{% generation %}` marks the assistant's words for training and prints what it encloses; here it is `{% if
/// true %}`.
fn without_generation_tags(jinja: &str) -> String {
    let mut out = String::with_capacity(jinja.len());
    let mut rest = jinja;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start + 2);
        out.push_str(before);
        let dash = tag.len() - tag.trim_start_matches(['-', '+']).len();
        let spaces = tag[dash..].len() - tag[dash..].trim_start().len();
        out.push_str(&tag[..dash + spaces]);
        rest = &tag[dash + spaces..];
        for (word, replacement) in [("generation", "if true"), ("endgeneration", "endif")] {
            let after = rest.strip_prefix(word);
            if let Some(after) = after.filter(|after| after.trim_start().starts_with(['-', '+', '%'])) {
                out.push_str(replacement);
                rest = after;
                break;
            }
        }
    }
    out.push_str(rest);
    out
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn compile(jinja: &str) -> Outcome<TsTemplate> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(failed(PARSE))?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", tojson::filter);
    environment.add_template_owned(NAME, without_generation_tags(jinja)).map_err(failed(PARSE))?;
    Ok(TsTemplate(environment))
}

impl TsTemplate {
    fn render(&self, context: &str, now: i64, max_steps: u64) -> Outcome<String> {
        let context: serde_json::Value = serde_json::from_str(context).map_err(failed(INVALID_ARGUMENT))?;
        // The time is part of a copy of the environment, not of the variables: macros do not see the
        // variables.
        let mut environment = self.0.clone();
        environment.set_fuel(Some(max_steps));
        environment.add_function("strftime_now", move |pattern: String| strftime::format(now, &pattern));
        let template = environment.get_template(NAME).map_err(failed(RENDER))?;
        template.render(Value::from(Serde(context))).map_err(failed(RENDER))
    }
}

#[no_mangle]
pub unsafe extern "C" fn ts_template_new(ptr: *const c_char, len: usize, out: *mut *mut TsTemplate) -> c_int {
    guard(|| {
        put_handle(compile(text(ptr, len)?)?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_template_render(
    template: *const TsTemplate,
    context: *const c_char,
    len: usize,
    now: i64,
    max_steps: u64,
    out: *mut Buf,
) -> c_int {
    guard(|| {
        put((*template).render(text(context, len)?, now, max_steps)?, out);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ts_template_free(template: *mut TsTemplate) {
    drop_handle(template)
}
