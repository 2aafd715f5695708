"""Templates: what is missing is an error, HTML is escaped, and blocks leave no lines."""

import pytest
from jinja2 import TemplateAssertionError, TemplateNotFound, UndefinedError

from scratchlm.reporting.templating import load_template

CARD = "model_card.md.j2"


def render(template: str, *, autoescape: bool = False, **values: object) -> str:
    """A text of one's own in the environment of the package's templates."""
    environment = load_template(CARD, autoescape, cell=str, loud=lambda value: f"{value}!").environment
    return environment.from_string(template).render(**values)


@pytest.mark.parametrize("template", ["{{ lost }}", "{{ row.lost }}", "{% if lost %}a{% endif %}"])
def test_a_value_that_is_missing_is_an_error_wherever_it_stands(template: str):
    with pytest.raises(UndefinedError, match="lost"):
        render(template, row={"found": 1})


def test_a_template_of_the_package_wants_all_its_values():
    with pytest.raises(UndefinedError):
        load_template(CARD, autoescape=False, cell=str).render(title="A model")


def test_a_template_that_is_not_there_is_an_error():
    with pytest.raises(TemplateNotFound, match="letter"):
        load_template("letter.md.j2", autoescape=False)


def test_values_are_escaped_in_html_and_stand_as_they_are_elsewhere():
    assert render("<b>{{ text }}</b>", autoescape=True, text="<i> & \"'") == "<b>&lt;i&gt; &amp; &#34;&#39;</b>"
    assert render("<b>{{ text }}</b>", text="<i> & \"'") == "<b><i> & \"'</b>"


def test_a_text_that_looks_like_a_template_is_not_one():
    assert render("{{ text }}", text="{{ 7 * 7 }}") == "{{ 7 * 7 }}"


def test_blocks_leave_no_lines_and_the_last_line_keeps_its_end():
    assert render("a\n  {% if yes %}\nb\n  {% endif %}\nc\n", yes=True) == "a\nb\nc\n"


def test_a_filter_belongs_to_the_templates_that_were_loaded_with_it():
    assert render("{{ 7 | loud }}") == "7!"
    with pytest.raises(TemplateAssertionError, match="loud"):
        load_template(CARD, autoescape=False, cell=str).environment.from_string("{{ 7 | loud }}")
