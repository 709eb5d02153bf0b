//! Pictures of a trace: live bytes, footprint and fragmentation over time, the
//! map of the heap, sizes and lifetimes. May use: `replay`, `trace`, `units`.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use memman::analysis::policy::Kind;
use memman::heap::Part;
use plotters::coord::Shift;
use plotters::prelude::*;
use resvg::{tiny_skia, usvg};

use crate::replay::{Ground, Heap, Observer, Sample, View, peak_live, run};
use crate::trace::{Op, Trace};
use crate::units::{bytes, grouped};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 1560;
/// Columns and rows of the map.
const COLUMNS: usize = 400;
const ROWS: usize = 160;

const LIVE: RGBColor = RGBColor(178, 24, 43);
const FOOTPRINT: RGBColor = RGBColor(33, 102, 172);
const RESERVED: RGBColor = RGBColor(244, 165, 80);
const FREE: RGBColor = RGBColor(161, 217, 155);
const PLAIN: RGBColor = RGBColor(90, 110, 130);

/// One moment of the map: the part of each row in live blocks, and the rows
/// that were ever used.
struct Column {
    live: Vec<f32>,
    reached: f32,
}

struct Collector {
    step: u64,
    /// The moment that the next sample is of.
    due: u64,
    samples: Vec<Sample>,
    columns: Vec<Column>,
    /// Bytes that the map shows.
    extent: f64,
    sizes: [u64; 64],
    lifetimes: [u64; 64],
    born: Vec<u64>,
}

impl Collector {
    fn sample(&mut self, time: u64, view: &View) {
        let row = self.extent / ROWS as f64;
        let mut live = vec![0f32; ROWS];
        view.heap.manager().walk(&mut |block| {
            if block.used {
                let start = (block.address - view.heap.base()) as f64 / row;
                let end = start + block.size as f64 / row;
                let rows = start as usize..(end.ceil() as usize).min(ROWS);
                for (at, row) in live.iter_mut().enumerate().take(rows.end).skip(rows.start) {
                    *row += (end.min(at as f64 + 1.0) - start.max(at as f64)) as f32;
                }
            }
            // An open heap's emergency part is never needed, and far away.
            if block.part == Part::Emergency { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.columns.push(Column { live, reached: (view.reach as f64 / row) as f32 });
        self.samples.push(Sample::of(time, view));
    }
}

/// The power of two at or below.
fn octave(value: u64) -> usize {
    value.max(1).ilog2() as usize
}

impl Observer for Collector {
    fn after(&mut self, _: u64, time: u64, op: &Op, view: &View) -> ControlFlow<()> {
        match *op {
            Op::Get { block, size, .. } => {
                self.sizes[octave(size)] += 1;
                self.born[block as usize] = time;
            }
            Op::Resize { size, .. } => self.sizes[octave(size)] += 1,
            Op::Free { block } => self.lifetimes[octave(time - self.born[block as usize])] += 1,
        }
        if time >= self.due {
            self.sample(time, view);
            self.due = time - time % self.step + self.step;
        }
        ControlFlow::Continue(())
    }
}

/// `memman plot`: writes what the end of the name says.
pub fn command(trace: &Trace, kind: Kind, output: &Path) -> Result<()> {
    let shown = output.display();
    let form = output.extension().and_then(|end| end.to_str()).unwrap_or_default();
    if !["svg", "png", "html"].contains(&form) {
        bail!("{shown} is to end in .svg, .png or .html");
    }
    let live = peak_live(trace)?;
    let make = || Heap::new(kind, Ground::Open, live)?.context("the system gives no room for the heap");
    let outcome = run(trace, &mut make()?, &mut (), None)?;
    if let Some(refused) = outcome.refused {
        bail!("request {} of the trace, for {} bytes, is more than can be replayed", refused.request, refused.size);
    }
    let mut collector = Collector {
        step: (trace.duration / COLUMNS as u64).max(1),
        due: 0,
        samples: Vec::new(),
        columns: Vec::new(),
        extent: outcome.reach.max(1) as f64,
        sizes: [0; 64],
        lifetimes: [0; 64],
        born: vec![0; trace.most_blocks],
    };
    run(trace, &mut make()?, &mut collector, None)?;
    let title = format!(
        "{} on {}: {} requests, peak live {}, highest end {}",
        trace.program(),
        kind.name(),
        grouped(trace.events),
        bytes(outcome.peak_live),
        bytes(outcome.reach)
    );
    let mut svg = String::new();
    draw(&mut svg, &title, trace, &collector).map_err(|error| anyhow::anyhow!("the plot cannot be drawn: {error}"))?;
    let picture = match form {
        "svg" => svg.into_bytes(),
        "html" => html(&title, &svg).into_bytes(),
        _ => png(&svg)?,
    };
    fs::write(output, picture).with_context(|| format!("{shown} cannot be written"))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What the axis of times is divided by, and its name.
fn time_unit(ns: u64) -> (f64, &'static str) {
    match ns {
        0..10_000 => (1.0, "ns"),
        10_000..10_000_000 => (1e3, "us"),
        10_000_000..10_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    }
}

fn size_unit(most: u64) -> (f64, &'static str) {
    match most {
        0..16384 => (1.0, "bytes"),
        16384..16_777_216 => (1024.0, "KiB"),
        _ => (1048576.0, "MiB"),
    }
}

fn draw(svg: &mut String, title: &str, trace: &Trace, all: &Collector) -> Drawn {
    let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 22))?;
    let (sizes, rest) = root.split_vertically(380);
    let (fragmentation, rest) = rest.split_vertically(240);
    let (map, distributions) = rest.split_vertically(560);
    let (left, right) = distributions.split_horizontally(WIDTH / 2);
    draw_sizes(&sizes, trace, all)?;
    draw_fragmentation(&fragmentation, trace, all)?;
    draw_map(&map, trace, all)?;
    draw_bars(&left, "Sizes of requests, from each power of two on", &all.sizes, &|power| bytes(1 << power))?;
    draw_bars(&right, "Lifetimes of blocks, from each power of two on", &all.lifetimes, &|power| {
        crate::units::duration(1 << power)
    })?;
    root.present()?;
    Ok(())
}

/// A label of an axis.
fn label(value: &f64) -> String {
    if value.fract() == 0.0 { grouped(*value as u64) } else { format!("{value:.1}") }
}

/// Values hold until the next sample.
fn steps(samples: &[Sample], end: u64, unit: f64, value: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let mut points = Vec::with_capacity(2 * samples.len());
    for (at, sample) in samples.iter().enumerate() {
        let until = samples.get(at + 1).map_or(end, |next| next.time);
        points.push((sample.time as f64 / unit, value(sample)));
        points.push((until as f64 / unit, value(sample)));
    }
    points
}

fn draw_sizes(canvas: &Canvas, trace: &Trace, all: &Collector) -> Drawn {
    let (second, seconds) = time_unit(trace.duration);
    let most = all.samples.iter().map(|sample| sample.footprint).max().unwrap_or(1).max(1);
    let (byte, unit) = size_unit(most);
    let mut chart = ChartBuilder::on(canvas)
        .caption("Memory", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..trace.duration.max(1) as f64 / second, 0.0..most as f64 / byte * 1.4)?;
    chart
        .configure_mesh()
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc(seconds)
        .y_desc(unit)
        .light_line_style(WHITE)
        .draw()?;
    let line = |value: &dyn Fn(&Sample) -> u64| {
        steps(&all.samples, trace.duration, second, |sample| value(sample) as f64 / byte)
    };
    for (name, color, points) in [
        ("footprint: end of the highest live block", FOOTPRINT, line(&|sample| sample.footprint)),
        ("in blocks, rounding included", RESERVED, line(&|sample| sample.reserved)),
        ("live, as requested", LIVE, line(&|sample| sample.live)),
    ] {
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(PLAIN)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

fn draw_fragmentation(canvas: &Canvas, trace: &Trace, all: &Collector) -> Drawn {
    let (second, seconds) = time_unit(trace.duration);
    let mut chart = ChartBuilder::on(canvas)
        .caption("Fragmentation: the part of the footprint that is in no block", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..trace.duration.max(1) as f64 / second, 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc(seconds)
        .y_desc("%")
        .y_labels(5)
        .light_line_style(WHITE)
        .draw()?;
    let points = steps(&all.samples, trace.duration, second, |sample| 100.0 * sample.fragmentation());
    chart.draw_series(AreaSeries::new(points, 0.0, FOOTPRINT.mix(0.35)).border_style(FOOTPRINT))?;
    Ok(())
}

/// Shades between free and live.
const SHADES: usize = 8;

fn draw_map(canvas: &Canvas, trace: &Trace, all: &Collector) -> Drawn {
    let (second, seconds) = time_unit(trace.duration);
    let (byte, unit) = size_unit(all.extent as u64);
    let mut chart = ChartBuilder::on(canvas)
        .caption("The heap: live red, free green, never used white", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..trace.duration.max(1) as f64 / second, 0.0..all.extent / byte)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc(seconds)
        .y_desc(format!("address, {unit}"))
        .draw()?;
    let row = all.extent / byte / ROWS as f64;
    let mut rectangles = Vec::new();
    for (at, column) in all.columns.iter().enumerate() {
        let from = all.samples[at].time as f64 / second;
        let until = all.samples.get(at + 1).map_or(trace.duration, |next| next.time) as f64 / second;
        let rows = (column.reached.ceil() as usize).min(ROWS);
        let shade = |at: usize| (column.live[at].clamp(0.0, 1.0) * SHADES as f32).round() as usize;
        let mut start = 0;
        while start < rows {
            let end = (start + 1..rows).find(|&at| shade(at) != shade(start)).unwrap_or(rows);
            let part = shade(start) as f64 / SHADES as f64;
            let mix = |free: u8, live: u8| (f64::from(free) + (f64::from(live) - f64::from(free)) * part) as u8;
            let color = RGBColor(mix(FREE.0, LIVE.0), mix(FREE.1, LIVE.1), mix(FREE.2, LIVE.2));
            let top = (end as f64).min(column.reached.into()) * row;
            rectangles.push(Rectangle::new([(from, start as f64 * row), (until, top)], color.filled()));
            start = end;
        }
    }
    chart.draw_series(rectangles)?;
    Ok(())
}

fn draw_bars(canvas: &Canvas, caption: &str, counts: &[u64; 64], name: &dyn Fn(usize) -> String) -> Drawn {
    let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    let most = counts.iter().max().copied().unwrap_or(0).max(1);
    let mut chart = ChartBuilder::on(canvas)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d(first as f64..last as f64 + 1.0, 0.0..most as f64 * 1.05)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_labels(8)
        .x_label_formatter(&|at| name((*at as usize).min(62)))
        .y_label_formatter(&|count| grouped(*count as u64))
        .draw()?;
    chart.draw_series((first..=last).map(|power| {
        let (from, to) = (power as f64 + 0.06, power as f64 + 0.94);
        Rectangle::new([(from, 0.0), (to, counts[power] as f64)], PLAIN.filled())
    }))?;
    Ok(())
}

fn html(title: &str, svg: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body {{ margin: 0; background: #fff }} svg {{ max-width: 100%; height: auto; display: block; \
         margin: auto }}</style>\n{svg}\n</html>\n"
    )
}

fn png(svg: &str) -> Result<Vec<u8>> {
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    let Some(family) = ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial"]
        .into_iter()
        .find(|name| fonts.faces().any(|face| face.families.iter().any(|family| family.0 == *name)))
        .map(str::to_owned)
        .or_else(|| fonts.faces().next().and_then(|face| face.families.first()).map(|family| family.0.clone()))
    else {
        bail!("there are no fonts on this system: write .svg, or install one (Debian: fonts-dejavu-core)");
    };
    fonts.set_sans_serif_family(family);
    let tree = usvg::Tree::from_str(svg, &options).context("the plot cannot be drawn")?;
    let mut pixels = tiny_skia::Pixmap::new(WIDTH, HEIGHT).context("there is no room for the picture")?;
    resvg::render(&tree, tiny_skia::Transform::default(), &mut pixels.as_mut());
    pixels.encode_png().context("the picture cannot be encoded")
}
