// What computes for the page: the service, or the browser itself. Both are engines with these methods:
//
//   setup()             -> {models, default, digits, atOnce, largest, accept, formats, privacy}
//   openImage(blob, name, range) -> {image: ImageBitmap, range}
//   estimate(pixels, {signal}) -> {sigma, kinds, channels, law, camera} of an ImageData
//   preview(pixels, parameters, {signal})                        -> ImageData
//   denoise(file, parameters, {signal, onProgress, onLost})      -> {blob, name, facts, notes, sigma}
//   digit({image} or {code})                                     -> {code, image}
//
// `parameters` are those of /v1/denoise: model, sigma, strength, colour_strength, channels, format.

// `askToken(reason)` resolves with the token of a service that needs one.
export async function makeEngine(askToken) {
  if (document.documentElement.dataset.engine === "browser") {
    const { BrowserEngine } = await import("./browser_engine.js");
    return new BrowserEngine();
  }
  const { ServiceEngine } = await import("./service_engine.js");
  return new ServiceEngine(askToken);
}
