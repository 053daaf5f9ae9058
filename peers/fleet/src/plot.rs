//! Requests over a day as an SVG: time across, requests per second upwards, by
//! powers of ten. Readable on light and dark, wherever it is shown.

use std::fmt::Write as _;

/// One line of the plot.
#[derive(Debug)]
pub struct Line<'a> {
    pub name: &'a str,
    pub seconds: &'a [u32],
}

/// One plot of several lines.
#[derive(Debug)]
pub struct Panel<'a> {
    pub title: &'a str,
    pub lines: Vec<Line<'a>>,
}

const WIDTH: usize = 860;
const LEFT: usize = 74;
const RIGHT: usize = 20;
const TOP: usize = 64;
const PANEL: usize = 250;
const GAP: usize = 62;
/// From 10 to 10 million requests per second.
const DECADES: std::ops::Range<u32> = 1..7;

/// Each point is the worst second of so many.
const BUCKET: usize = 120;

const STYLE: &str = "\
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-weight: 600; font-size: 14px }
  .grid { stroke: #d8dee4; stroke-width: 1 }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
  .c0 { stroke: #0550ae } .c1 { stroke: #bc4c00 } .c2 { stroke: #1a7f37 }
  .k0 { fill: #0550ae } .k1 { fill: #bc4c00 } .k2 { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .grid { stroke: #30363d }
    .c0 { stroke: #79c0ff } .c1 { stroke: #ffa657 } .c2 { stroke: #56d364 }
    .k0 { fill: #79c0ff } .k1 { fill: #ffa657 } .k2 { fill: #56d364 }
  }
";

pub fn svg(panels: &[Panel<'_>]) -> String {
    let height = TOP + panels.len() * (PANEL + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"Requests per second to IAM over a day\">\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        WIDTH - 1,
        height - 1,
    );
    legend(&mut out, panels);
    for (number, panel) in panels.iter().enumerate() {
        let top = TOP + number * (PANEL + GAP);
        grid(&mut out, panel, top);
        // The first is drawn last, above the others.
        for (number, line) in panel.lines.iter().enumerate().rev() {
            let points = points(line.seconds, top);
            let _ = writeln!(
                out,
                "<polyline class=\"line c{number}\" points=\"{points}\"/>"
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String, panels: &[Panel<'_>]) {
    let lines = panels.first().map_or(&[][..], |panel| &panel.lines);
    for (number, line) in lines.iter().enumerate() {
        let x = LEFT + number * 230;
        let _ = writeln!(
            out,
            "<rect class=\"k{number}\" x=\"{x}\" y=\"18\" width=\"14\" height=\"4\"/>\
             <text x=\"{}\" y=\"25\">{}</text>",
            x + 22,
            line.name,
        );
    }
}

fn grid(out: &mut String, panel: &Panel<'_>, top: usize) {
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{}</text>",
        top - 10,
        panel.title
    );
    for decade in DECADES.start..=DECADES.end {
        let y = height_of(10u32.pow(decade), top);
        let name = match decade {
            1..=2 => format!("{}", 10u32.pow(decade)),
            3..=5 => format!("{},000", 10u32.pow(decade - 3)),
            _ => format!("{} million", 10u32.pow(decade - 6)),
        };
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            WIDTH - RIGHT,
            LEFT - 6,
            y + 4,
        );
    }
    for hour in (0..=24).step_by(3) {
        let x = LEFT + (WIDTH - LEFT - RIGHT) * hour / 24;
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{}\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{hour} h</text>",
            top + PANEL,
            top + PANEL + 18,
        );
    }
}

fn height_of(requests: u32, top: usize) -> usize {
    let floor = f64::from(DECADES.start);
    let span = f64::from(DECADES.end) - floor;
    let exponent = f64::from(requests.max(1)).log10().max(floor);
    let share = (exponent - floor) / span;
    top + PANEL - (PANEL as f64 * share).round() as usize
}

fn points(seconds: &[u32], top: usize) -> String {
    let wide = (WIDTH - LEFT - RIGHT) as f64;
    let buckets: Vec<_> = seconds.chunks(BUCKET).collect();
    let mut out = String::new();
    let mut last = None;
    for (number, bucket) in buckets.iter().enumerate() {
        let x = LEFT as f64 + wide * number as f64 / buckets.len() as f64;
        let y = height_of(bucket.iter().copied().max().unwrap_or(0), top);
        // A level stretch needs its two ends only.
        let next = buckets.get(number + 1);
        let next = next.map(|next| height_of(next.iter().copied().max().unwrap_or(0), top));
        if last == Some(y) && next == Some(y) {
            continue;
        }
        last = Some(y);
        if !out.is_empty() {
            out.push(' ');
        }
        let _ = write!(out, "{x:.1},{y}");
    }
    out
}
