// Bundles styles, scripts and fonts into the folder that the build script names; file names are given their hash there.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const front = fileURLToPath(new URL('.', import.meta.url));
const [outdir] = process.argv.slice(2);
if (!outdir) throw new Error('usage: node front/build.mjs <folder>');
mkdirSync(outdir, { recursive: true });

await build({
  absWorkingDir: front,
  entryPoints: { main: 'ts/main.ts', pay: 'ts/pay.ts', scan: 'ts/scan.ts', decoder: 'ts/decoder.ts', style: 'style.css' },
  outdir,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022', 'chrome111', 'firefox114', 'safari16.4'],
  loader: { '.woff2': 'file' },
  assetNames: '[name]-[hash]',
  legalComments: 'none',
  logLevel: 'warning',
});
