"""A run, or several, as one HTML page that needs no network and runs no script.

Figures, charts and cards of episodes come in; the text of an HTML file goes out.
"""
