"""The pipeline of the model of normal hearts: `dvc repro hearts/dvc.yaml`, not part of `dvc repro`.

params.yaml     its settings
patients.yaml   patients to develop on and patients to report on
train           the one stage
"""
