"""What tests ask of the page."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a test asks of the page: ids, links, headings, images, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.headings, self.images, self.loads, self.texts = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if tag == "a" else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.images += [attributes] if tag == "img" else []
        self.loads += [tag] if tag in ("script", "link", "iframe", "object") else []

    def handle_data(self, data):
        self.texts.append(data)
