"""The playback player: a page of plain HTML, CSS and JavaScript that needs no server to play."""
