"""The stages of dvc.yaml: one script each; nobody imports these."""
