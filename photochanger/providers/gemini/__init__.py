"""Google Gemini over generateContent."""
