"""PostgreSQL: sessions, their certificates, the trader's journal. The only SQL there is."""
