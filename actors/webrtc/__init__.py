"""WebRTC. The only folder that may import asyncio, trio_asyncio, aiortc and aioice."""
