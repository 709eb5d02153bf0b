//! The plots of a run, as SVG: one dot for each workload and allocator, time
//! and memory apart; and the latencies as lines over the percentiles.

use crate::allocators::BASELINE;
use crate::report::latency_rows;
use crate::results::{Measure, Results, WorkloadResult};
use crate::workloads::Group;
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

fn dots(results: &Results, measure: Measure, title: &str, path: &Path) -> Drawn {
    let shown = |workload: &&WorkloadResult| measure == Measure::Rss || workload.group != Group::Memory;
    let workloads: Vec<&WorkloadResult> = results.workloads.iter().filter(shown).collect();
    let rows = i32::try_from(workloads.len())?;
    let root = SVGBackend::new(path, (1000, 100 + 20 * rows.unsigned_abs())).into_drawing_area();
    root.fill(&WHITE)?;
    let ratios = workloads
        .iter()
        .flat_map(|workload| results.allocators.iter().filter_map(|a| workload.ratio(measure, &a.name)));
    let (low, high) = ratios.fold((0.5_f64, 2.0_f64), |(l, h), r| (l.min(r), h.max(r)));
    let (low, high) = (low / 1.1, high * 1.1);
    let mut marks = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0].to_vec();
    marks.retain(|mark| (low..high).contains(mark));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .margin_right(130)
        .x_label_area_size(30)
        .y_label_area_size(110)
        .build_cartesian_2d((low..high).log_scale().with_key_points(marks), -1..rows)?;
    // The first workload stands on top.
    let name = |y: &i32| {
        let row = usize::try_from(rows - 1 - y).ok().and_then(|row| workloads.get(row));
        row.map_or_else(String::new, |workload| workload.name.clone())
    };
    chart
        .configure_mesh()
        .y_labels(workloads.len() + 2)
        .y_label_formatter(&name)
        .x_label_formatter(&|x| x.to_string())
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, -1), (1.0, rows)], &BLACK))?;
    let others = results.allocators.iter().filter(|allocator| allocator.name != BASELINE);
    for (index, allocator) in (0..).zip(others) {
        let style = colour(index).filled();
        let points = (1..).zip(&workloads).filter_map(|(from_top, workload)| {
            Some(Circle::new((workload.ratio(measure, &allocator.name)?, rows - from_top), 4, style))
        });
        chart.draw_series(points)?;
        let y = 50 + 18 * i32::try_from(index)?;
        root.draw(&Circle::new((885, y), 4, style))?;
        root.draw(&Text::new(allocator.name.clone(), (895, y - 6), ("sans-serif", 13)))?;
    }
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
            .margin_right(30)
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
                series
                    .label(&allocator.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], tint.stroke_width(2)));
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
