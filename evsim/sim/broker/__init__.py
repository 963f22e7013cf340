"""What stands between those who publish and those who consume."""
