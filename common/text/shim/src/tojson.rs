//! The `tojson` filter as `transformers` defines it: Python's `json.dumps(value, ensure_ascii=False, …)`,
//! with ", " and ": " between items and no HTML escapes. Templates with tools depend on these very
//! characters.

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde_json::Value as Json;

/// Writes `value` as json.dumps does. `indent` is None for one line, else the spaces per level.
fn dump(value: &Json, indent: Option<usize>, level: usize, out: &mut String) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, indent, level + 1, out);
                dump(item, indent, level + 1, out);
            }
            new_line(indent, level, out);
            out.push(']');
        }
        Json::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                separate(index, indent, level + 1, out);
                out.push_str(&Json::String(name.clone()).to_string());
                out.push_str(": ");
                dump(field, indent, level + 1, out);
            }
            new_line(indent, level, out);
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
}

fn separate(index: usize, indent: Option<usize>, level: usize, out: &mut String) {
    if index > 0 {
        out.push_str(if indent.is_some() { "," } else { ", " });
    }
    new_line(indent, level, out);
}

fn new_line(indent: Option<usize>, level: usize, out: &mut String) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * level));
    }
}

/// `value | tojson(indent=4)`. Other arguments of json.dumps are refused, except ensure_ascii=false, which
/// holds anyway.
pub fn filter(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let ensure_ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    if ensure_ascii == Some(true) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: ensure_ascii=true is not supported"));
    }
    let json = serde_json::to_value(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut out = String::new();
    dump(&json, indent, 0, &mut out);
    Ok(Value::from_safe_string(out))
}
