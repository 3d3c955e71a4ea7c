//! Log lines for machines: one JSON object each, whose lists are arrays.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats events; the fields of spans must be formatted by [`JsonFields`].
pub(super) struct Json;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for Json {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = Fields::default();
        line.insert("timestamp", timestamp);
        line.insert("level", metadata.level().as_str());
        event.record(&mut line);
        line.insert("target", metadata.target());
        let spans = context.event_scope().into_iter().flat_map(Scope::from_root);
        let spans: Vec<Value> = spans
            .map(|span| {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<JsonFields>>();
                let fields = fields.and_then(|fields| serde_json::from_str(&fields.fields).ok());
                let mut fields: Map<String, Value> = fields.unwrap_or_default();
                fields.insert("name".to_owned(), span.name().into());
                fields.into()
            })
            .collect();
        if !spans.is_empty() {
            line.insert("spans", spans);
        }
        writeln!(writer, "{}", Value::from(line.0))
    }
}

/// The fields of an object, in order of their names.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // A list of texts or numbers reads the same in both notations, as far as it is JSON at all.
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
