//! Line charts as SVG, legible on white and on black: the background is transparent, and all colours are of medium
//! brightness.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A chart. Its axes reach from their first to their last tick.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Title, in one line.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis. Its label is above it.
    pub y: Axis,
    /// The curves, in drawing order.
    pub lines: Vec<ChartLine>,
    /// Width to the right of the axes for the labels of lines that end there, in pixels.
    pub margin: u32,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The measured quantity, with its unit.
    pub label: String,
    /// Scale of the axis.
    pub scale: Scale,
    /// Ticks in ascending order, with their labels. At least two.
    pub ticks: Vec<(f64, String)>,
}

/// Scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Proportional.
    Linear,
    /// Logarithmic; values must be above zero.
    Logarithmic,
    /// Logarithmic far above this value, proportional far below it, so that zero has a position.
    LogarithmicWithZero(f64),
}

/// A line through points, with its label at the last one.
#[derive(Clone, Debug)]
pub struct ChartLine {
    /// Label, in one or more lines of text.
    pub label: Vec<String>,
    /// Offset of the label, in pixels right of and below the last point.
    pub label_offset: (i32, i32),
    /// Red, green, blue.
    pub colour: (u8, u8, u8),
    /// True for a dashed line.
    pub dashed: bool,
    /// Points, in ascending order of x.
    pub points: Vec<(f64, f64)>,
}

/// Matching colours, for [`ChartLine::colour`].
pub mod colours {
    /// For the subject of the chart.
    pub const BLUE: (u8, u8, u8) = (0x2f, 0x81, 0xf7);
    /// For the first comparison.
    pub const RED: (u8, u8, u8) = (0xe5, 0x53, 0x4b);
    /// For a further line.
    pub const ORANGE: (u8, u8, u8) = (0xc6, 0x7a, 0x1c);
    /// For a further line.
    pub const GREEN: (u8, u8, u8) = (0x2c, 0x9a, 0x4a);
    /// For a further line.
    pub const PURPLE: (u8, u8, u8) = (0x98, 0x6e, 0xe2);
}

const SIZE: (u32, u32) = (860, 480);
const LEFT: i32 = 76;
const TOP: i32 = 74;
const BOTTOM: i32 = 60;
const TEXT: RGBColor = RGBColor(0x76, 0x7e, 0x89);
const GRID: RGBAColor = RGBAColor(0x76, 0x7e, 0x89, 0.3);
const LINE_HEIGHT: i32 = 17;

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.log10(),
            Self::LogarithmicWithZero(unit) => (value / unit).ln_1p(),
        }
    }
}

impl Axis {
    /// Returns the position of a value, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let [first, last] = [self.ticks.first(), self.ticks.last()]
            .map(|tick| tick.map_or(0.0, |(value, _)| self.scale.place(*value)));
        (self.scale.place(value) - first) / (last - first)
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws text at an offset from a point, in pixels. The style determines the anchor of the text.
fn draw_text(
    area: &Area<'_>,
    text: &str,
    point: (f64, f64),
    offset: (i32, i32),
    style: TextStyle<'static>,
) -> Drawn {
    area.draw(&(EmptyElement::at(point) + Text::new(text.to_owned(), offset, style)))
}

fn text_style(size: i32, colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour).pos(Pos::new(horizontal, vertical))
}

impl Chart {
    /// Returns the chart as an SVG document, which is the same for equal charts.
    ///
    /// # Panics
    ///
    /// Panics if an axis has fewer than two ticks.
    #[must_use]
    pub fn svg(&self) -> String {
        assert!(self.x.ticks.len() > 1 && self.y.ticks.len() > 1, "axes have a beginning and an end");
        let mut svg = String::new();
        self.draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())
            .expect("a String takes anything");
        svg
    }

    fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
        let right = i32::try_from(SIZE.0.saturating_sub(self.margin)).unwrap_or(i32::MAX);
        let bottom = SIZE.1.cast_signed() - BOTTOM;
        let pixels = (LEFT..right, bottom..TOP);
        let area = root.clone().apply_coord_spec(Cartesian2d::new(0.0..1.0, 0.0..1.0, pixels));
        root.draw(&Text::new(
            self.title.as_str(),
            (LEFT, 16),
            text_style(17, TEXT, HPos::Left, VPos::Center),
        ))?;
        root.draw(&Text::new(
            self.y.label.as_str(),
            (LEFT, 48),
            text_style(13, TEXT, HPos::Left, VPos::Center),
        ))?;
        root.draw(&Text::new(
            self.x.label.as_str(),
            (i32::midpoint(LEFT, right), SIZE.1.cast_signed() - 16),
            text_style(13, TEXT, HPos::Center, VPos::Center),
        ))?;
        self.draw_ticks(&area)?;
        for line in &self.lines {
            self.draw_line(line, &area)?;
        }
        root.present()
    }

    fn draw_ticks(&self, area: &Area<'_>) -> Drawn {
        for (value, label) in &self.y.ticks {
            let y = self.y.place(*value);
            area.draw(&PathElement::new([(0.0, y), (1.0, y)], GRID))?;
            let style = text_style(13, TEXT, HPos::Right, VPos::Center);
            draw_text(area, label, (0.0, y), (-8, 0), style)?;
        }
        for (value, label) in &self.x.ticks {
            let x = self.x.place(*value);
            area.draw(&PathElement::new([(x, 0.0), (x, 1.0)], GRID))?;
            let style = text_style(13, TEXT, HPos::Center, VPos::Top);
            draw_text(area, label, (x, 0.0), (0, 8), style)?;
        }
        Ok(())
    }

    fn draw_line(&self, line: &ChartLine, area: &Area<'_>) -> Drawn {
        let (red, green, blue) = line.colour;
        let colour = RGBColor(red, green, blue);
        let points: Vec<(f64, f64)> =
            line.points.iter().map(|(x, y)| (self.x.place(*x), self.y.place(*y))).collect();
        if line.dashed {
            area.draw(&DashedPathElement::new(points.clone(), 5, 4, colour.stroke_width(2)))?;
        } else {
            area.draw(&PathElement::new(points.clone(), colour.stroke_width(2)))?;
        }
        for point in &points {
            area.draw(&Circle::new(*point, 3, colour.filled()))?;
        }
        let Some(last) = points.last() else { return Ok(()) };
        let (right, below) = line.label_offset;
        for (text, down) in line.label.iter().zip((0..).map(|number| number * LINE_HEIGHT)) {
            let style = text_style(14, colour, HPos::Left, VPos::Center);
            draw_text(area, text, *last, (right, below + down), style)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, ticks: [f64; 3]) -> Axis {
        Axis { label: "axis".to_owned(), scale, ticks: ticks.map(|tick| (tick, tick.to_string())).into() }
    }

    #[test]
    fn scales_place_values_between_the_ends() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(axis(Scale::Linear, [0.0, 5.0, 20.0]).place(5.0), 0.25);
        close(axis(Scale::Logarithmic, [1.0, 10.0, 1000.0]).place(10.0), 1.0 / 3.0);
        let with_zero = axis(Scale::LogarithmicWithZero(1.0), [0.0, 9.0, 99.0]);
        close(with_zero.place(0.0), 0.0);
        close(with_zero.place(9.0), 0.5);
        close(with_zero.place(99.0), 1.0);
    }

    #[test]
    fn the_document_has_what_is_drawn() {
        let line = ChartLine {
            label: vec!["first".to_owned(), "second <line>".to_owned()],
            label_offset: (10, 0),
            colour: colours::BLUE,
            dashed: true,
            points: vec![(0.0, 1.0), (50.0, 10.0)],
        };
        let chart = Chart {
            title: "a title".to_owned(),
            x: axis(Scale::Linear, [0.0, 50.0, 100.0]),
            y: axis(Scale::Logarithmic, [1.0, 10.0, 100.0]),
            lines: vec![line],
            margin: 100,
        };
        let svg = chart.svg();
        assert_eq!(svg, chart.svg());
        for text in ["<svg ", "</svg>", "a title", "first", "second &lt;line&gt;", "#2F81F7"] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
