"""The stage: a lab as a page for a beamer. State, server, story and page (plain HTML, CSS, JavaScript) apart."""
