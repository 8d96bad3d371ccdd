"""Who sees which picture: galleries, shares, guests' links, ZIPs; moderation, and what is removed when."""
