"""The values and protocols through which the web, the actors and the layers below them use each other."""
