//! The medians as bars: the cost of a query in each server, without and with EDNS.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::EndToEndError;
use super::report::EndToEndFigures;

const WIDTH: u32 = 860;
const ROW: u32 = 46;
const TOP: u32 = 64;
const BOTTOM: u32 = 34;
/// Left end of the bars, in pixels. Names are to the left of it.
const LEFT: u32 = 250;
/// Width to the right of the longest bar, for its figure, in pixels.
const RIGHT: u32 = 70;
const BAR: u32 = 15;

const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(101, 109, 118);
const OURS: [RGBColor; 2] = [RGBColor(9, 105, 218), RGBColor(128, 180, 240)];
const FLOOR: [RGBColor; 2] = [RGBColor(87, 96, 106), RGBColor(175, 184, 193)];
const THEIRS: [RGBColor; 2] = [RGBColor(188, 76, 0), RGBColor(236, 170, 120)];

/// Draws the figures as an SVG file. The first entry is the floor.
pub fn draw(path: &Path, all: &[EndToEndFigures]) -> Result<(), EndToEndError> {
    let rows = u32::try_from(all.len())?;
    let height = TOP + rows * ROW + BOTTOM;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    // Not transparent, so that it is legible on a dark page, too.
    area.fill(&WHITE)?;
    let title = ("sans-serif", 17).into_font().style(FontStyle::Bold).color(&INK);
    area.draw_text("Server CPU per query, microseconds", &title, (16, 14))?;
    let note = ("sans-serif", 12).into_font().color(&FAINT);
    let sub =
        "saturated over loopback, one thread each; dark: without EDNS, light: with; line: our null responder";
    area.draw_text(sub, &note, (16, 38))?;

    let most = all.iter().flat_map(EndToEndFigures::cpu).fold(1.0, f64::max);
    let scale = f64::from(WIDTH - LEFT - RIGHT) / most;
    for (row, figures) in (0..).zip(all) {
        draw_row(&area, figures, colours(&figures.name, row), TOP + row * ROW, scale)?;
    }
    let floor = all.first().map_or(0.0, |first| first.cpu()[0]);
    let (x, y) = (at(floor * scale), pixels(TOP + rows * ROW));
    area.draw(&PathElement::new([(x, pixels(TOP) - 6), (x, y)], FLOOR[0].stroke_width(1)))?;
    area.present()?;
    Ok(())
}

fn draw_row<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    figures: &EndToEndFigures,
    colours: [RGBColor; 2],
    top: u32,
    scale: f64,
) -> Result<(), EndToEndError>
where
    B::ErrorType: 'static,
{
    let right = Pos::new(HPos::Right, VPos::Center);
    let name = ("sans-serif", 13).into_font().color(&INK).pos(right);
    area.draw_text(&figures.name, &name, (pixels(LEFT) - 10, pixels(top + BAR)))?;
    let number = ("sans-serif", 12).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    for ((bar, cpu), colour) in (0..).zip(figures.cpu()).zip(colours) {
        let y = pixels(top + bar * BAR);
        let corners = [(pixels(LEFT), y), (at(cpu * scale), y + pixels(BAR) - 1)];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        area.draw_text(&format!("{cpu:.2}"), &number, (at(cpu * scale) + 6, y + pixels(BAR / 2)))?;
    }
    Ok(())
}

fn colours(name: &str, row: u32) -> [RGBColor; 2] {
    match row {
        0 => FLOOR,
        _ if name.starts_with("poddnsd") => OURS,
        _ => THEIRS,
    }
}

/// Returns the x coordinate of the end of a bar.
#[expect(clippy::cast_possible_truncation, reason = "inside the picture")]
fn at(length: f64) -> i32 {
    pixels(LEFT) + length.round() as i32
}

fn pixels(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
