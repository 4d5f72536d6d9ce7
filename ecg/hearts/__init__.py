"""The model of normal hearts, which judges recordings of patients that it has never seen."""
