// Predict depth with a network that packdepth exported (.onnx or .xml), with OpenVINO, whose headers and libraries the
// Python package openvino holds (find_package(OpenVINO) in CMake, or compile by hand):
//
//   P=$(python -c "import openvino, os; print(os.path.dirname(openvino.__file__))")
//   g++ -std=c++17 model-predict.cpp -o predict -I$P/include $P/libs/libopenvino.so.* -Wl,-rpath,$P/libs
//   ./predict model.onnx image.ppm depth.pfm
//
// The image is a binary PPM of the network's size; depth is written as PFM (32-bit floats, rows from the bottom up).
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

int main(int count, char** arguments) {
    if (count != 4) {
        std::cerr << "usage: predict MODEL IMAGE.ppm DEPTH.pfm\n";
        return 2;
    }
    try {
        ov::Core core;
        // Without this hint, OpenVINO computes in bfloat16 on processors that can, and depth moves by a percent.
        ov::CompiledModel model = core.compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
        ov::InferRequest request = model.create_infer_request();
        ov::PartialShape wanted = model.input("image").get_partial_shape();  // [B, 3, H, W]
        const size_t batch = wanted[0].is_static() ? wanted[0].get_length() : 1;  // the first image of it is used
        const size_t height = wanted[2].get_length(), width = wanted[3].get_length(), plane = height * width;

        std::ifstream file(arguments[2], std::ios::binary);
        std::string magic;
        size_t columns = 0, rows = 0, largest = 0;
        file >> magic >> columns >> rows >> largest;
        file.get();
        if (magic != "P6" || columns != width || rows != height || largest != 255)
            throw std::runtime_error("give a binary PPM of " + std::to_string(width) + "x" + std::to_string(height));
        std::vector<uint8_t> pixels(3 * plane);
        file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));

        ov::Tensor image(model.input("image").get_element_type(), ov::Shape{batch, 3, height, width});
        const bool floats = image.get_element_type() == ov::element::f32;
        for (size_t i = 0; i < plane; ++i)
            for (size_t channel = 0; channel < 3; ++channel) {
                const uint8_t value = pixels[3 * i + channel];
                if (floats)
                    image.data<float>()[channel * plane + i] = value / 255.0f;
                else
                    image.data<uint8_t>()[channel * plane + i] = value;
            }
        request.set_tensor("image", image);
        request.infer();
        const float* depth = request.get_tensor("depth").data<float>();

        std::ofstream output(arguments[3], std::ios::binary);
        output << "Pf\n" << width << " " << height << "\n-1.0\n";
        for (size_t row = height; row-- > 0;)
            output.write(reinterpret_cast<const char*>(depth + row * width), static_cast<std::streamsize>(4 * width));
        std::cout << "depth of the center: " << depth[(height / 2) * width + width / 2] << "\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
