"""What several test files share beside fixtures: people, scenes, networks and files made for tests."""
