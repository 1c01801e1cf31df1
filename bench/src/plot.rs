//! The plot of the page: lines for a flood, bars for open times. Its colours are readable on light and on dark.

use std::fmt::Write;

use crate::part::{Curve, Panel};
use crate::samples::figure;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 330.0;
/// Text and lines.
const INK: &str = "#7d8590";
const FONT: &str = "font-family=\"system-ui,sans-serif\" font-size=\"13\"";
/// Where the lines are: left, top, width, height.
const LINES: (f64, f64, f64, f64) = (56.0, 56.0, 380.0, 200.0);
/// Where the bars are.
const BARS: (f64, f64, f64, f64) = (590.0, 56.0, 200.0, 200.0);
/// The shortest and the longest bar, in microseconds: a logarithmic axis.
const RANGE: (f64, f64) = (1.0, 1e6);

/// The whole picture.
pub(crate) fn svg(curves: &[&Curve]) -> String {
    let of = |panel: Panel| curves.iter().copied().filter(|curve| curve.panel == panel).collect::<Vec<_>>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" {FONT} fill=\"{INK}\">\n\
         <title>Real users that get in under a flood, and open times</title>\n"
    );
    lines(&mut svg, &of(Panel::Flood));
    bars(&mut svg, &of(Panel::Open));
    svg.push_str("</svg>\n");
    svg
}

/// Klopf's is blue, and those of others are not.
fn colour(name: &str) -> &'static str {
    match name {
        "Klopf, packet" => "#3b82f6",
        "Klopf, sequence" => "#0ea5a0",
        "Klopf's knockd" => "#8b5cf6",
        "fwknopd" => "#d9733f",
        "knockd" => "#d6457a",
        _ => "#b08a1e",
    }
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, fill: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>",
        at.0, at.1
    );
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.0}\" y1=\"{:.0}\" x2=\"{:.0}\" y2=\"{:.0}\" stroke=\"{INK}\" stroke-opacity=\"0.35\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn lines(svg: &mut String, curves: &[&Curve]) {
    let (left, top, width, height) = LINES;
    text(svg, (left, top - 28.0), "start", INK, "Real users of 100 that get in, by junk packets a second");
    for hundredth in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let y = top + height * (1.0 - hundredth / 100.0);
        rule(svg, (left, y), (left + width, y));
        text(svg, (left - 8.0, y + 4.0), "end", INK, &format!("{hundredth:.0}"));
    }
    let Some(labels) = curves.first().map(|curve| &curve.points) else { return };
    let step = width / (labels.len().max(2) - 1) as f64;
    for (place, (label, _)) in labels.iter().enumerate() {
        text(svg, (left + step * place as f64, top + height + 22.0), "middle", INK, label);
    }
    for (number, curve) in curves.iter().enumerate() {
        let colour = colour(&curve.name);
        // Lines that would hide each other are drawn a little apart.
        let apart = number as f64 * 2.0 - curves.len() as f64;
        let point = |(place, (_, value)): (usize, &(String, f64))| {
            format!("{:.0},{:.0}", left + step * place as f64, top + height * (1.0 - value / 100.0) + apart)
        };
        let points: Vec<String> = curve.points.iter().enumerate().map(point).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
            points.join(" ")
        );
        let column = left + (number % 3) as f64 * 130.0;
        let line = top + height + 46.0 + (number / 3) as f64 * 18.0;
        text(svg, (column, line), "start", colour, &format!("\u{25cf} {}", curve.name));
    }
}

fn bars(svg: &mut String, curves: &[&Curve]) {
    let (left, top, width, height) = BARS;
    text(svg, (left - 110.0, top - 28.0), "start", INK, "Open time, median, µs (logarithmic)");
    let place = |value: f64| {
        let (least, most) = (RANGE.0.log10(), RANGE.1.log10());
        ((value.max(RANGE.0).log10() - least) / (most - least)).clamp(0.005, 1.0) * width
    };
    let step = height / curves.len().max(1) as f64;
    for (number, curve) in curves.iter().enumerate() {
        let Some((_, value)) = curve.points.first() else { continue };
        let (y, colour) = (top + step * number as f64, colour(&curve.name));
        text(svg, (left - 8.0, y + step / 2.0 + 4.0), "end", INK, &curve.name);
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.0}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"{colour}\"/>",
            y + step * 0.2,
            place(*value),
            step * 0.6
        );
        text(svg, (left + place(*value) + 6.0, y + step / 2.0 + 4.0), "start", INK, &figure(Some(*value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_and_named() {
        let curve = |panel, name: &str, values: &[f64]| Curve {
            panel,
            name: name.to_owned(),
            points: values.iter().map(|value| (value.to_string(), *value)).collect(),
        };
        let all = [
            curve(Panel::Flood, "knockd", &[100.0, 0.0]),
            curve(Panel::Flood, "nft recipe", &[100.0, 50.0]),
            curve(Panel::Open, "Klopf, packet", &[120.0]),
        ];
        let svg = svg(&all.iter().collect::<Vec<_>>());
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<rect").count()), (2, 1));
        assert!(all.iter().all(|curve| svg.contains(&curve.name)));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
