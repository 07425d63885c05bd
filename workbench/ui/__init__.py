"""The Streamlit app: pages, what they share, and the playback player. Nothing else imports it."""
