"""What a study is: its folders, its record, and the proof that its twins match."""
