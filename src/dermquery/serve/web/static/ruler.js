// A scale bar on every image whose scale is known, of a round length that follows the image's size on the screen.
import { number } from "./page.js";

const WIDEST = 0.3; // of the frame

export function rule() {
  for (const ruler of document.querySelectorAll(".ruler")) {
    const frame = ruler.parentElement;
    const image = frame.querySelector("img");
    if (!image.naturalWidth) {
      image.addEventListener("load", rule, { once: true });
      continue;
    }
    const { width, height } = image.getBoundingClientRect();
    const pixel = Math.min(width / image.naturalWidth, height / image.naturalHeight); // on the screen
    const millimetre = pixel / Number(ruler.dataset.spacing);
    const most = (WIDEST * frame.clientWidth) / millimetre;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = power * [5, 2, 1].find((times) => times * power <= most);
    const [bar, words] = ruler.children;
    bar.style.width = `${length * millimetre}px`;
    words.textContent = `${number(length, Math.max(0, -Math.floor(Math.log10(length))))} mm`;
    ruler.hidden = !(length > 0);
  }
}

addEventListener("resize", rule);
rule();
