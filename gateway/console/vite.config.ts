import { defineConfig } from "vite";

// Everything comes from the gateway itself: relative addresses, nothing inlined that a strict content policy forbids.
export default defineConfig({
  base: "./",
  build: {
    outDir: "static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    // Lists of what else a page needs would be a tenth of the first file; only its styles must be there before it.
    modulePreload: { polyfill: false, resolveDependencies: (_, files, { hostType }) => (hostType === "html" ? files : files.filter((file) => file.endsWith(".css"))) },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash:6].js",
        chunkFileNames: "assets/[name]-[hash:6].js",
        assetFileNames: "assets/[name]-[hash:6][extname]",
        // All that the first page needs is one file, which the others import from: two such files compress worse.
        codeSplitting: { groups: [{ name: "base", test: /node_modules\/(preact|@preact)\/|src\/(look\/(tokens|base)|live\/(state|orders|types|stream|source)|text|api|app\/(app|asking|bars|counts|header|keys|look|pages|route|selection|sound)|pages\/(now\/(now|list|model|words|lazy)|signin\/host)|parts\/(time|words|mark|icon|media|order|lazily|chip|virtual|toast))\./ }] },
      },
    },
  },
  worker: { format: "es" },
});
