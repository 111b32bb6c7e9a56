import { defineConfig } from "vite";

// Everything comes from the gateway itself: relative addresses, nothing inlined that a strict content policy forbids.
export default defineConfig({
  base: "./",
  build: {
    outDir: "static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  worker: { format: "es" },
});
