"""A desk on a socket of this machine, in a thread, for browsers."""

import socket
import threading
from contextlib import contextmanager

from tests.browsers import waited
from uncertainty.service.app import create_app
from uncertainty.service.desk.desk import Desk
from uncertainty.service.desk.serving import ended_with
from uncertainty.service.server import server_of
from uncertainty.service.settings import ServiceSettings


@contextmanager
def listening(app, settings):
    """Yield the address of an application that is being served."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # as `server.run` does
    place.bind(("127.0.0.1", 0))
    server = server_of(app, settings)
    thread = threading.Thread(target=server.run, args=([place],))
    thread.start()
    try:
        waited(lambda: server.started)
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def served(settings, token=None):
    """Yield (address, desk) of a review that is being served."""
    service = ServiceSettings(port=0, token=token)
    desk = Desk(settings)
    with listening(create_app(service, [ended_with(desk)]), service) as address:
        yield address, desk


def sign_in(browser, address, name):
    """Say who one is, and wait for the first image."""
    browser.get(f"{address}/desk")
    browser.find_element("id", "annotator").send_keys(name)
    browser.find_element("css selector", "form.ask button").click()
    waited(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "true")


def text(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def press(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def settled(browser):
    """Wait until everything sent is kept and an image, or the end, is shown."""
    waited(lambda: text(browser, "#saving") in ("saved", "") or text(browser, "#saving").startswith("taken back"))
