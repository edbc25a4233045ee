//! Text for HTML and SVG: escaping, and numbers as people read them.

use std::fmt::Write;

/// What stands where there is no number.
const NONE: &str = "–";

/// Escapes text for element content and for quoted attributes, in HTML and in XML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // XML cannot hold these, not even as character references.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// At most `max` characters, with an ellipsis for what was cut.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// `41,216`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `98.46`: per cent with a fixed number of decimals.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    fixed(share * 100.0, decimals)
}

/// Per cent where tiny is not zero: `0`, `<0.01`, `3.21`.
pub(crate) fn rate(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0".to_owned(),
        p if p > 0.0 && p < 0.01 => "<0.01".to_owned(),
        p => fixed(p, 2),
    }
}

/// A number with fixed decimals; a dash for what is no number.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { NONE.to_owned() }
}

/// A loss or a rate: as many decimals as make four digits.
pub(crate) fn significant(value: f64) -> String {
    match value.abs() {
        m if !m.is_finite() => NONE.to_owned(),
        m if m >= 1e15 => format!("{value:.3e}"),
        m if m >= 100.0 => fixed(value, 1),
        m if m >= 1.0 => fixed(value, 3),
        m if m >= 1e-3 || m == 0.0 => fixed(value, 4),
        _ => format!("{value:.2e}"),
    }
}

/// `12.3 s`, `4 min 05 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    if seconds < 100.0 {
        return format!("{} s", fixed(seconds, if seconds < 10.0 { 2 } else { 1 }));
    }
    let whole = seconds.round() as u64;
    match whole / 3600 {
        0 => format!("{} min {:02} s", whole / 60, whole % 60),
        hours => format!("{hours} h {:02} min", whole / 60 % 60),
    }
}

/// `2⁻⁸`.
pub(crate) fn power_of_two(exponent: i64) -> String {
    let mut out = String::from("2");
    for c in exponent.to_string().chars() {
        out.push(match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            d => char::from_u32('⁰' as u32 + d.to_digit(10).unwrap_or(0)).unwrap_or('⁰'),
        });
    }
    out
}

/// Appends one table row of already escaped cells; `classes[i]` is the class of cell `i`.
pub(crate) fn table_row(out: &mut String, classes: &[&str], cells: &[String]) {
    out.push_str("<tr>");
    for (cell, class) in cells.iter().zip(classes) {
        match *class {
            "" => write!(out, "<td>{cell}</td>"),
            class => write!(out, "<td class=\"{class}\">{cell}</td>"),
        }
        .expect("writing to a string");
    }
    out.push_str("</tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(escape("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
        assert_eq!(escape("a\u{0}\u{1b}\nb"), "a\u{FFFD}\u{FFFD}\nb");
        assert_eq!(escape("Gewicht ½"), "Gewicht ½");
    }

    #[test]
    fn long_names_end_in_an_ellipsis() {
        assert_eq!(shorten("conv1", 5), "conv1");
        assert_eq!(shorten("conv10", 5), "conv…");
        assert_eq!(shorten("ab", 0), "…");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(41_216), "41,216");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for text in [percent(value, 1), rate(value), significant(value), duration(value)] {
                assert_eq!(text, NONE);
            }
        }
    }

    #[test]
    fn tiny_rates_are_not_zero() {
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(1e-6), "<0.01");
        assert_eq!(rate(0.0321), "3.21");
    }

    #[test]
    fn durations_and_losses() {
        assert_eq!(duration(1.234), "1.23 s");
        assert_eq!(duration(64.0), "64.0 s");
        assert_eq!(duration(245.2), "4 min 05 s");
        assert_eq!(duration(7_260.0), "2 h 01 min");
        assert_eq!(significant(0.01234), "0.0123");
        assert_eq!(significant(2.345_67), "2.346");
        assert_eq!(significant(0.00002), "2.00e-5");
    }

    #[test]
    fn exponents_are_superscripts() {
        assert_eq!(power_of_two(-8), "2⁻⁸");
        assert_eq!(power_of_two(1203), "2¹²⁰³");
    }
}
