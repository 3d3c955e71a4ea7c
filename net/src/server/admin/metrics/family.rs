//! A family of metrics: its definition, from which both the exposition and docs/metrics.md are generated.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::view::MetricsView;
use crate::server::latency::BUCKETS;

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    /// A gauge that is always 1 and has its text in labels; `info` in `OpenMetrics`.
    Info,
}

impl MetricKind {
    /// Returns the name of the type in Prometheus' text format.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label, and the bound on its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetricLabel {
    pub(super) name: &'static str,
    /// Maximum number of values.
    pub(super) most: usize,
    /// The values, in Markdown.
    pub(super) values: &'static str,
}

/// A family. A new metric requires only a row of a table of families.
pub(super) struct MetricFamily {
    /// The name in Prometheus' text format: with the unit, and with `_total` for a counter.
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    /// One line, without a full stop.
    pub(super) help: &'static str,
    /// Further sentences for the reference page, if any.
    pub(super) more: &'static str,
    /// The labels of each sample, in this order.
    pub(super) labels: &'static [MetricLabel],
    /// Adds the samples; none if the family is absent.
    pub(super) read: fn(&MetricsView<'_>, &mut MetricSamples),
}

impl MetricFamily {
    /// Returns a family of counters without labels, further sentences or samples.
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: MetricKind::Counter, help, more: "", labels: &[], read: |_, _| {} }
    }

    /// Returns a family of gauges, like [`counter`](Self::counter).
    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricKind::Gauge, ..Self::counter(name, help) }
    }

    /// Returns a family of histograms, like [`counter`](Self::counter).
    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricKind::Histogram, ..Self::counter(name, help) }
    }

    /// Returns a family of gauges that are always 1 and have their text in labels, like [`counter`](Self::counter).
    pub(super) const fn info(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricKind::Info, ..Self::counter(name, help) }
    }

    /// Adds further sentences for the reference page.
    pub(super) const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// Sets the labels of each sample.
    pub(super) const fn labels(self, labels: &'static [MetricLabel]) -> Self {
        Self { labels, ..self }
    }

    /// Sets the function that adds the samples.
    pub(super) const fn read(self, read: fn(&MetricsView<'_>, &mut MetricSamples)) -> Self {
        Self { read, ..self }
    }
}

/// Families under a heading of the reference page.
pub(super) struct MetricSection {
    pub(super) heading: &'static str,
    pub(super) families: &'static [MetricFamily],
}

/// A value of a sample.
#[derive(Clone, Debug, PartialEq)]
enum SampleValue {
    Integer(u64),
    Real(f64),
    Histogram {
        sum: f64,
        /// Upper bounds and numbers of observations of the buckets, not cumulative.
        buckets: Vec<(f64, u64)>,
    },
}

/// The samples of a family: the values of its labels, and the value of the sample.
#[derive(Debug, Default)]
pub(super) struct MetricSamples(Vec<(Vec<String>, SampleValue)>);

impl MetricSamples {
    /// Adds a whole number. `labels` are the values of the family's labels, in its order.
    pub(super) fn number(&mut self, labels: &[&str], number: u64) {
        self.add(labels, SampleValue::Integer(number));
    }

    /// Adds a real number.
    pub(super) fn real(&mut self, labels: &[&str], number: f64) {
        self.add(labels, SampleValue::Real(number));
    }

    /// Adds a histogram with the upper bounds of its buckets and the number of observations in each.
    pub(super) fn histogram(&mut self, labels: &[&str], sum: f64, buckets: Vec<(f64, u64)>) {
        self.add(labels, SampleValue::Histogram { sum, buckets });
    }

    fn add(&mut self, labels: &[&str], value: SampleValue) {
        self.0.push((labels.iter().map(|&label| label.to_owned()).collect(), value));
    }
}

impl MetricFamily {
    /// Writes the family, unless it is absent.
    pub(super) fn encode(&self, view: &MetricsView<'_>, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = MetricSamples::default();
        (self.read)(view, &mut samples);
        if samples.0.is_empty() {
            return Ok(());
        }
        let (name, unit, kind) = self.parts();
        let mut family = to.encode_descriptor(name, self.help, unit.as_ref(), kind)?;
        for (values, value) in samples.0 {
            let labels: Vec<(&str, String)> =
                self.labels.iter().map(|label| label.name).zip(values).collect();
            if self.kind == MetricKind::Info {
                family.encode_info(&labels)?;
            } else if labels.is_empty() {
                self.encode_value(&mut family, &value)?;
            } else {
                self.encode_value(&mut family.encode_family(&labels)?, &value)?;
            }
        }
        Ok(())
    }

    fn encode_value(&self, to: &mut MetricEncoder<'_>, value: &SampleValue) -> fmt::Result {
        match (value, self.kind == MetricKind::Counter) {
            (SampleValue::Integer(value), true) => to.encode_counter::<NoLabelSet, _, u64>(value, None),
            (SampleValue::Real(value), true) => to.encode_counter::<NoLabelSet, _, f64>(value, None),
            (SampleValue::Integer(value), false) => to.encode_gauge(value),
            (SampleValue::Real(value), false) => to.encode_gauge(value),
            (SampleValue::Histogram { sum, buckets }, _) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                to.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }

    /// Returns name, unit and type for `OpenMetrics`: the name without its suffixes, which the encoder adds from unit
    /// and type.
    fn parts(&self) -> (&'static str, Option<Unit>, MetricType) {
        let (suffix, kind) = match self.kind {
            MetricKind::Counter => ("_total", MetricType::Counter),
            MetricKind::Gauge => ("", MetricType::Gauge),
            MetricKind::Histogram => ("", MetricType::Histogram),
            MetricKind::Info => ("_info", MetricType::Info),
        };
        let name = self.name.strip_suffix(suffix).unwrap_or(self.name);
        for (suffix, unit) in [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)] {
            if let Some(name) = name.strip_suffix(suffix) {
                return (name, Some(unit), kind);
            }
        }
        (name, None, kind)
    }

    /// Returns the maximum number of series.
    pub(super) fn most(&self) -> usize {
        // A series for each bucket, one for the sum, one for the count.
        let each = if self.kind == MetricKind::Histogram { BUCKETS + 2 } else { 1 };
        self.labels.iter().map(|label| label.most).product::<usize>() * each
    }
}
