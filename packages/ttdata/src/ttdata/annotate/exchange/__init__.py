"""What goes into a project and comes out of it: videos, annotations, exports, backups."""
