//! Log lines for programs: one JSON object each, with lists as arrays.
//!
//! The fields of spans are members of the line. If a span has one field, the member has the name of the span:
//! `"watch":"pods"` for `watch{resource=pods}`. If it has several, a member has both names: `"watch_resource"`. If
//! names are equal, an inner span replaces an outer one, the line's own fields replace those of spans, and the head
//! (timestamp, level and target) replaces all others.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats events; the fields of spans must be formatted by [`SpanObjects`].
pub(super) struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, SpanObjects> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanObjects>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = JsonObject::default();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<SpanObjects>>() {
                line.add_span(span.metadata(), &JsonObject::parse(&fields.fields));
            }
        }
        event.record(&mut line);
        line.insert("timestamp", timestamp);
        line.insert("level", metadata.level().as_str());
        line.insert("target", metadata.target());
        writeln!(writer, "{line}")
    }
}

/// Formats the fields of a span as a JSON object.
pub(super) struct SpanObjects;

impl<'writer> FormatFields<'writer> for SpanObjects {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut object = JsonObject::default();
        fields.record(&mut object);
        write!(writer, "{object}")
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut object = JsonObject::parse(&current.fields);
        fields.record(&mut object);
        current.fields = object.to_string();
        Ok(())
    }
}

/// Fields as members, in order of their names.
#[derive(Default)]
struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// Parses an object; empty if the text is not one.
    fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds the fields of a span. Member names depend on the number of fields that the span declares, not on how many
    /// are set.
    fn add_span(&mut self, span: &Metadata<'_>, fields: &Self) {
        let is_alone = span.fields().len() == 1;
        for (field, value) in &fields.0 {
            let name = if is_alone { span.name().to_owned() } else { format!("{}_{field}", span.name()) };
            self.0.insert(name, value.clone());
        }
    }
}

impl fmt::Display for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl Visit for JsonObject {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // The debug format of a list of texts or numbers is JSON, except for some escapes.
        let list = text.starts_with('[').then(|| serde_json::from_str(&text).ok()).flatten();
        self.insert(field.name(), list.unwrap_or_else(|| Value::from(text)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field.name(), value);
    }
}
