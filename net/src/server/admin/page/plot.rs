//! Plots of rates as SVG, each with a table of the latest rates and the sums.

use super::format::{number, rate};
use super::html::Html;
use crate::server::history::{INTERVAL, Recent, SAMPLES, Series};

/// Size of a plot in SVG user units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// A line of a plot.
pub(super) struct PlotLine {
    pub(super) name: &'static str,
    /// CSS class of its colour.
    pub(super) class: &'static str,
    pub(super) series: Vec<Series>,
}

impl PlotLine {
    pub(super) fn new(name: &'static str, class: &'static str, series: Series) -> Self {
        Self { name, class, series: vec![series] }
    }

    /// Returns the rate of each sample.
    fn rates(&self, recent: &Recent<'_>) -> Vec<f64> {
        let mut rates: Vec<f64> = Vec::new();
        for &series in &self.series {
            if rates.is_empty() {
                rates = recent.rates(series).collect();
            } else {
                rates.iter_mut().zip(recent.rates(series)).for_each(|(sum, rate)| *sum += rate);
            }
        }
        rates
    }

    pub(super) fn sum(&self, recent: &Recent<'_>) -> u64 {
        self.series.iter().map(|&series| recent.sum(series)).sum()
    }
}

/// Adds a plot of lines and their table.
pub(super) fn figure(html: &mut Html, title: &'static str, lines: &[PlotLine], recent: &Recent<'_>) {
    let rates: Vec<Vec<f64>> = lines.iter().map(|line| line.rates(recent)).collect();
    let highest = rates.iter().flatten().copied().fold(0.0, f64::max);
    let top = ceiling(highest);
    html.raw("<figure class=\"card\"><figcaption><h3>")
        .text(title)
        .raw("</h3><span class=\"unit\">per second, up to ");
    html.text(scale(top)).raw("</span></figcaption>");
    html.raw("<div class=\"plot\"><svg viewBox=\"0 0 600 120\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    html.text(title).text(" per second over the last 15 minutes, at most ").text(rate(highest)).raw("\">");
    html.raw("<path class=\"grid\" d=\"M0 .5H600M0 60H600M0 119.5H600M200 0V120M400 0V120\"/>");
    for (line, rates) in lines.iter().zip(&rates) {
        path(html, line.class, rates, top);
    }
    html.raw("</svg><div class=\"axis\"><span>−15 min</span><span>−10</span><span>−5</span><span>now</span></div></div>");
    html.raw("<table><thead><tr><th scope=\"col\"></th><th scope=\"col\" class=\"n\">now</th><th scope=\"col\" class=\"n\">15 min</th></tr></thead><tbody>");
    for (line, rates) in lines.iter().zip(&rates) {
        html.raw("<tr><th scope=\"row\"><i class=\"key ").text(line.class).raw("\"></i>").text(line.name);
        html.raw("</th><td class=\"n\">").text(rates.last().copied().map_or_else(|| "–".to_owned(), rate));
        html.raw("</td><td class=\"n\" data-sum=\"")
            .text(line.name)
            .raw("\">")
            .text(number(line.sum(recent)));
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    if lines.is_empty() {
        html.raw("<p class=\"none\">None yet.</p>");
    }
    html.raw("</figure>");
}

/// Adds a line, whose last sample is at the right edge.
fn path(html: &mut Html, class: &'static str, rates: &[f64], top: f64) {
    html.raw("<polyline class=\"").text(class).raw("\" points=\"");
    #[expect(clippy::cast_precision_loss, reason = "at most SAMPLES")]
    let step = WIDTH / (SAMPLES - 1) as f64;
    for (back, rate) in (0_u32..).zip(rates.iter().rev()) {
        let x = WIDTH - step * f64::from(back);
        // A margin of one unit is left for the width of the line.
        let y = HEIGHT - 1.0 - (HEIGHT - 2.0) * (rate / top).min(1.0);
        html.text(format_args!("{x:.0},{y:.1} "));
    }
    html.raw("\"/>");
}

/// Returns the text of the end of a scale, which is a whole number.
fn scale(top: f64) -> String {
    if top < 100.0 { format!("{top:.0}") } else { rate(top) }
}

/// Returns the least of 1, 2, 5, 10, 20, … that is not less than `value`.
fn ceiling(value: f64) -> f64 {
    let mut top = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if top * factor >= value {
                return top * factor;
            }
        }
        top *= 10.0;
    }
}

/// The labels of the time axis are those of a history of 15 minutes.
const _: () = assert!(INTERVAL.as_secs() * SAMPLES as u64 == 15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, top) in
            [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (4.9, 5.0), (5.1, 10.0), (73_000.0, 100_000.0)]
        {
            assert!((ceiling(value) - top).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn lines_end_at_the_right_edge() {
        let mut html = Html::default();
        path(&mut html, "c1", &[0.0, 5.0, 10.0], 10.0);
        assert_eq!(html.finish(), "<polyline class=\"c1\" points=\"600,1.0 597,60.0 593,119.0 \"/>");
    }
}
