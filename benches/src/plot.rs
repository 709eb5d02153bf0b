//! The plots of a run, as SVG: one dot for each workload and allocator, time
//! and memory apart; and the latencies as lines over the percentiles.

use crate::allocators::BASELINE;
use crate::report::latency_rows;
use crate::results::{Measure, Results};
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

/// Told apart by most eyes, colour-blind ones too (after Okabe and Ito).
const COLOURS: [RGBColor; 10] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(150, 60, 180),
    RGBColor(120, 120, 0),
    RGBColor(0, 0, 0),
];

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// Writes time.svg, rss.svg and latency.svg, as far as there are figures.
///
/// # Errors
/// A file cannot be written.
pub fn draw(results: &Results, directory: &Path) -> Result<()> {
    if !results.workloads.is_empty() {
        for (measure, file, title) in [
            (Measure::Wall, "time.svg", "Time as a ratio to glibc"),
            (Measure::Rss, "rss.svg", "Peak resident memory as a ratio to glibc"),
        ] {
            dots(results, measure, title, &directory.join(file))
                .map_err(|error| anyhow!("cannot draw {file}: {error}"))?;
        }
    }
    if !results.latencies.is_empty() {
        lines(results, &directory.join("latency.svg")).map_err(|error| anyhow!("cannot draw latency.svg: {error}"))?;
    }
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn dots(results: &Results, measure: Measure, title: &str, path: &Path) -> Drawn {
    let rows = results.workloads.len();
    let height = 120 + 20 * u32::try_from(rows)?;
    let root = SVGBackend::new(path, (1000, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let ratios = results
        .workloads
        .iter()
        .flat_map(|workload| results.allocators.iter().filter_map(|a| workload.ratio(measure, &a.name)));
    let (low, high) = ratios.fold((0.5_f64, 2.0_f64), |(l, h), r| (l.min(r), h.max(r)));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(130)
        .build_cartesian_2d((low / 1.1..high * 1.1).log_scale(), -0.5..rows as f64 - 0.5)?;
    let name = |y: &f64| {
        let row = y.round();
        let from_top = rows as f64 - 1.0 - row;
        let workload = results.workloads.get(from_top as usize).filter(|_| from_top >= 0.0);
        workload.map_or_else(String::new, |workload| workload.name.clone())
    };
    chart
        .configure_mesh()
        .y_labels(2 * rows + 1)
        .y_label_formatter(&name)
        .x_label_formatter(&|x| format!("{x:.2}"))
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, -0.5), (1.0, rows as f64 - 0.5)], &BLACK))?;
    let others = results.allocators.iter().filter(|allocator| allocator.name != BASELINE);
    for (index, allocator) in others.enumerate() {
        let style = colour(index).filled();
        let points = results.workloads.iter().enumerate().filter_map(|(row, workload)| {
            let ratio = workload.ratio(measure, &allocator.name)?;
            Some(Circle::new((ratio, (rows - 1 - row) as f64), 4, style))
        });
        chart.draw_series(points)?.label(&allocator.name).legend(move |(x, y)| Circle::new((x + 8, y), 4, style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

fn lines(results: &Results, path: &Path) -> Drawn {
    const PERCENTILES: [&str; 4] = ["p50", "p99", "p99.9", "p99.99"];
    let rows: Vec<(&str, &str)> = latency_rows(results).into_iter().filter(|(case, _)| *case != "clock").collect();
    let down = rows.len().div_ceil(2);
    let root = SVGBackend::new(path, (1000, 300 * u32::try_from(down)?)).into_drawing_area();
    root.fill(&WHITE)?;
    let tiles = root.split_evenly((down, 2));
    for (number, ((case, operation), tile)) in rows.iter().zip(&tiles).enumerate() {
        let of = |name: &str| {
            results
                .latencies
                .iter()
                .find(|l| l.allocator == name && l.case == *case && l.operation == *operation)
                .map(|l| [l.p50, l.p99, l.p99_9, l.p99_99])
        };
        let all = results.allocators.iter().filter_map(|a| of(&a.name)).flatten();
        let top = all.fold(100.0_f64, f64::max);
        let mut chart = ChartBuilder::on(tile)
            .caption(format!("{operation}, {case} (ns)"), ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(60)
            .build_cartesian_2d(0..3_usize, (10.0..top * 1.3).log_scale())?;
        chart
            .configure_mesh()
            .x_labels(4)
            .x_label_formatter(&|x| PERCENTILES.get(*x).map_or_else(String::new, |p| (*p).to_owned()))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .light_line_style(WHITE)
            .draw()?;
        for (index, allocator) in results.allocators.iter().enumerate() {
            let Some(times) = of(&allocator.name) else {
                continue;
            };
            // The baseline is drawn in the last colour, the others as in the dots.
            let tint = if index == 0 { BLACK } else { colour(index - 1) };
            let series = chart.draw_series(LineSeries::new(times.into_iter().enumerate(), tint.stroke_width(2)))?;
            if number == 0 {
                series.label(&allocator.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], tint));
            }
        }
        if number == 0 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK)
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}
