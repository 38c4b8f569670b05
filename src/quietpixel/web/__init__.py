"""The page and the service: `quietpixel serve`.

`quietpixel.web.server.serve` listens, `quietpixel.web.app.make_app` is the application, and what a
request goes through on its way lies beside them: `guard` at the door, `bodies` and `turns` with
their limits, `work` in threads, `problems` on the way out.
"""
