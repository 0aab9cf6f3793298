import pytest

from service.tools.fetch import page

URL = "https://example.com/a/b"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two", "one\n\ntwo"),
        ("a<br>b", "a\nb"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a <b>b</b>\n\n\t c", "a b c"),
        ("&lt;p&gt; &amp;amp; &#65;&nbsp;b", "<p> &amp; A b"),
        ("<script>alert('x')</script>y<style>p{}</style>", "y"),
        ("<script>if (a < b) '</b>' </script>y", "y"),
        ("<noscript>x<noscript>y</noscript>z</noscript>w", "w"),
        ("<svg><title>x</title></svg>w<template><p>x</p></template>", "w"),
        ("<svg/>w<script src=x></script>", "w"),
        ("a<!-- <p>hidden --> b", "a b"),
        ('<a href="c?d#e">more</a>', "more (https://example.com/a/c?d#e)"),
        ('<a href="//x.org">x</a> <a href="#top">y</a> <a>z</a>', "x (https://x.org) y z"),
        ('<a href="javascript:alert(1)">x</a> <a href="data:,x">y</a> <a href="http://[">z</a>', "x y z"),
        ("</a></p></script>x", "x"),
        ("<a href=x", "<a href=x"),
        ("x<", "x<"),
        ("<pre>a\n  b</pre>c\nd", "a\nb\nc d"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "ab\n\nc"),
    ],
    ids=str,
)
def test_what_is_read(html, text):
    assert page.read(html, URL)[1] == text


def test_the_title_is_told_apart():
    html = "<html><head><title> A \n title </title></head><body><h1>Head</h1>text"
    assert page.read(html, URL) == ("A title", "Head\ntext", True)


def test_scripts_of_any_length_are_dropped():
    html = f"<p>before<script>{'x < y; ' * 30_000}</script><p>after <style>{'p{} ' * 30_000}</style>end"
    assert page.read(html, URL)[1:] == ("before\nafter end", True)


BEGINNINGS = [
    "<!--",
    "<![CDATA[",
    "<?",
    "<!",
    "</x",
    "<a ",
    "<a x='",
    "<script>",
    "<![if ",
    "<!-- --!",
    "&#",
    "<",
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_page_of_beginnings_is_over_soon(beginning):
    """Python's parser looks for the end anew from every one: all of a page of them would take it hours."""
    html = "<p>text</p>" + beginning * ((1 << 20) // len(beginning))
    title, text, whole = page.read(html, URL)
    assert (title, text[:4]) == ("", "text")
    assert whole == (beginning in {"<script>", "<"})
