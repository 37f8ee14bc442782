"""The Markdown of a section as HTML."""

from analysis.page.markdown import to_html, without_empty_columns

MARKDOWN = """# Loss terms

What <b>adds</b> `most`?

## Detail

| arm | AP |
| --- | --: |
| both | 52.1 |
| full & more | 58.3 |

- a source
"""


def test_the_title_is_left_out_and_other_headings_go_down_one_level():
    page = to_html(MARKDOWN, name="Loss terms", links={})
    assert "<h1>" not in page
    assert "Loss terms</h" not in page
    assert "<h3>Detail</h3>" in page


def test_markup_in_the_text_is_escaped():
    assert "What &lt;b&gt;adds&lt;/b&gt; <code>most</code>?" in to_html(MARKDOWN, name="x", links={})


def test_a_table_scrolls_in_a_named_region_of_its_own():
    page = to_html(MARKDOWN, name='a "name"', links={})
    assert '<div class="scroll" role="region" tabindex="0" aria-label="Table: a &quot;name&quot;"><table>' in page
    assert page.count("</table></div>") == 1
    assert '<th scope="col">arm</th>' in page


def test_the_first_cell_of_a_row_leads_to_where_its_numbers_come_from():
    page = to_html(MARKDOWN, name="x", links={"both": "#study-1", "full & more": "#study-2", "absent": "#study-3"})
    assert '<th scope="row"><a href="#study-1">both</a></th>' in page
    assert '<th scope="row"><a href="#study-2">full &amp; more</a></th>' in page
    assert "study-3" not in page


def test_no_text_gives_no_page():
    assert to_html("", name="x", links={}) == ""


WIDE = r"""One | two.

| arm | mask AP | n | APl | difference | its n |
| --- | ------: | -: | --: | ---------: | ----: |
| a \| b | 1.0 | 3 | - | +1.0 | 3 |
| c | - | 3 | - | - | - |

- a source"""


def test_a_column_without_a_number_and_one_that_repeats_another_are_left_out():
    assert without_empty_columns(WIDE).splitlines() == [
        "One | two.",
        "",
        "| arm | mask AP | n | difference |",
        "| --- | ------: | -: | ---------: |",
        r"| a \| b | 1.0 | 3 | +1.0 |",
        "| c | - | 3 | - |",
        "",
        "- a source",
    ]
    assert "<td>a | b</td>" in to_html(without_empty_columns(WIDE), name="t", links={})


def test_the_number_of_seeds_of_a_difference_stays_where_it_is_another():
    text = WIDE.replace("+1.0 | 3 |", "+1.0 | 2 |")
    assert "| a \\| b | 1.0 | 3 | +1.0 | 2 |" in without_empty_columns(text)


def test_the_arms_stay_if_there_is_nothing_else():
    assert without_empty_columns("| arm | AP |\n| - | -: |\n| - | - |") == "| arm |\n| - |\n| - |"
