"""What a study is: its folders, its record, the proof of its pairing."""
