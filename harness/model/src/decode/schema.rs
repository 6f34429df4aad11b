//! Building blocks of the JSON Schema, draft 2020-12.

use serde_json::{Map, Value, json};

use super::Rule;

/// A fragment of JSON Schema.
pub type Schema = Value;

/// Joins the lines of a doc comment to one text: lines to paragraphs, paragraphs apart by an empty line.
pub fn described(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines.iter().map(|line| line.trim()) {
        if line.is_empty() {
            text.push_str("\n\n");
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text.trim().to_owned()
}

/// The schema of a field: its type's, under the field's own description.
pub fn field_schema(schema: Schema, lines: &[&str]) -> Schema {
    let text = described(lines);
    match schema {
        Value::Object(mut fragment) if !fragment.contains_key("title") => {
            fragment.insert("description".to_owned(), text.into());
            Value::Object(fragment)
        }
        Value::Object(titled) => json!({"description": text, "allOf": [titled]}),
        _ => json!({"description": text}),
    }
}

/// The schema of a record: `fields` are key, schema and whether it is required.
pub fn record_schema(
    title: &str,
    lines: &[&str],
    fields: &[(&'static str, Schema, bool)],
    rules: &[Rule],
    open: bool,
) -> Schema {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.2)
        .map(|field| field.0)
        .collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(key, schema, _)| ((*key).to_owned(), schema.clone()))
        .collect();
    let rules: Vec<Schema> = rules.iter().filter_map(Rule::schema).collect();
    let mut schema = json!({
        "title": title,
        "description": described(lines),
        "type": "object",
        "properties": properties,
        "additionalProperties": open,
    });
    if open {
        // Known keys and one of any name; who knows the names can be more precise.
        schema["minProperties"] = json!(required.len() + 1);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !rules.is_empty() {
        schema["allOf"] = json!(rules);
    }
    schema
}

/// The schema of a mapping with the one key `name`.
pub fn one_key_schema(name: &str, about: &str, value: &Schema) -> Schema {
    json!({
        "type": "object",
        "description": about,
        "properties": {name: value},
        "required": [name],
        "additionalProperties": false,
    })
}

/// Moves every titled fragment below the root into `$defs`, each once, and refers to it instead. Two different
/// fragments with one title stay where they are.
pub fn hoist(mut root: Schema) -> Schema {
    let mut defs: Map<String, Value> = Map::new();
    if let Value::Object(fragment) = &mut root {
        for (key, value) in fragment.iter_mut() {
            walk(key, value, &mut defs);
        }
        if !defs.is_empty() {
            fragment.insert("$defs".to_owned(), Value::Object(defs));
        }
    }
    root
}

/// `name` is the keyword or property under which `value` stands; what stands under `properties` is no keyword.
fn walk(name: &str, value: &mut Value, defs: &mut Map<String, Value>) {
    if matches!(name, "const" | "enum" | "default" | "examples") {
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk("", item, defs)),
        Value::Object(fragment) => {
            let names_are_data = matches!(name, "properties" | "patternProperties");
            for (key, inner) in fragment.iter_mut() {
                walk(if names_are_data { "" } else { key }, inner, defs);
            }
            if names_are_data {
                return;
            }
            if let Some(Value::String(title)) = fragment.get("title") {
                let title = title.clone();
                let known = defs
                    .entry(title.clone())
                    .or_insert_with(|| Value::Object(fragment.clone()));
                if known.as_object() == Some(fragment) {
                    *value = json!({"$ref": format!("#/$defs/{title}")});
                }
                return;
            }
            lift_reference(fragment);
        }
        _ => {}
    }
}

/// `{description, allOf: [{$ref}]}` says the same as `{description, $ref}`.
fn lift_reference(fragment: &mut Map<String, Value>) {
    let reference = match fragment.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::Object(only)]) if only.len() == 1 => only.get("$ref").cloned(),
        _ => None,
    };
    if let Some(reference) = reference {
        fragment.remove("allOf");
        fragment.insert("$ref".to_owned(), reference);
    }
}
