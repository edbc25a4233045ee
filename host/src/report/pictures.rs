//! A few of the test pictures that were classified wrongly.

use base64::Engine;

use super::page::Section;
use super::text::grouped;
use super::view::View;
use crate::run::record::Wrong;

/// More than this many say nothing new.
const MOST: usize = 32;

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    let wrong = &view.test?.wrong;
    if wrong.is_empty() {
        return None;
    }
    let mut body = String::from("<ul class=\"pictures\">\n");
    for sample in wrong.iter().take(MOST) {
        body.push_str(&item(sample));
    }
    body.push_str("</ul>\n");
    if wrong.len() > MOST {
        body.push_str(&format!(
            "<p class=\"quiet\">The first {MOST} of {}.</p>\n",
            grouped(wrong.len() as u64)
        ));
    }
    Some(Section {
        id: "pictures",
        title: "Wrongly classified",
        lead: "Some test samples that the network got wrong: the true class, an arrow, and the \
               class that it chose instead; the small number is its place in the test set.",
        body,
    })
}

fn item(sample: &Wrong) -> String {
    let Wrong { index, label, predicted, .. } = sample;
    let picture = match png(sample) {
        Some(bytes) => {
            let data = base64::engine::general_purpose::STANDARD.encode(bytes);
            format!(
                "<img alt=\"sample {index}\" title=\"sample {index}: true {label}, predicted \
                 {predicted}\" src=\"data:image/png;base64,{data}\"/>"
            )
        }
        None => "<span class=\"no-picture\">no picture</span>".to_owned(),
    };
    format!(
        "<li>{picture}<p><b>{label}</b> → <b class=\"miss\">{predicted}</b> \
         <span class=\"quiet\">#{index}</span></p></li>\n"
    )
}

/// The sample, or nothing when the pixels are not a picture. Grey is dark ink on white.
fn png(sample: &Wrong) -> Option<Vec<u8>> {
    let (width, height) = (sample.width, sample.height);
    let area = width.checked_mul(height).filter(|&area| area > 0)?;
    let (color, pixels) = if sample.pixels.len() == area {
        (png::ColorType::Grayscale, sample.pixels.iter().map(|p| 255 - p).collect())
    } else if sample.pixels.len() == area.checked_mul(3)? {
        (png::ColorType::Rgb, sample.pixels.clone())
    } else {
        return None;
    };
    let mut bytes = Vec::new();
    let (width, height) = (width.try_into().ok()?, height.try_into().ok()?);
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn sample(width: usize, height: usize, pixels: Vec<u8>) -> Wrong {
        Wrong { index: 7, label: 3, predicted: 8, width, height, pixels }
    }

    #[test]
    fn a_picture_is_a_png() {
        let text = item(&sample(2, 1, vec![0, 255]));
        example::assert_markup(&text);
        assert!(text.contains("data:image/png;base64,iVBORw0KGgo"), "{text}");
    }

    #[test]
    fn three_numbers_a_pixel_are_colours() {
        let bytes = png(&sample(1, 2, vec![255, 0, 0, 1, 2, 3])).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = [0; 6];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(frame.color_type, png::ColorType::Rgb);
        assert_eq!(pixels, [255, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn pixels_that_are_no_picture_are_said_to_be_none() {
        for bad in [sample(0, 0, vec![]), sample(3, 2, vec![1]), sample(usize::MAX, 2, vec![1])] {
            assert!(item(&bad).contains("no picture"));
        }
    }
}
